"""Define the Transformer, from tensors to tensors, without text, files or search.

The sections of Vaswani et al. 2017, "Attention Is All You Need", and the code for each:

    3.1    encoder and decoder stacks, residual, norm   layers.EncoderLayer, DecoderLayer; transformer.Encoder, Decoder
    3.2.1  scaled dot-product attention                 attention.explicit_attention, fused_attention
    3.2.2  multi-head attention                         attention.MultiHeadAttention
    3.2.3  the three uses of attention, the causal mask layers.DecoderLayer, attention.causal_may_attend
    3.3    position-wise feed-forward networks          layers.FeedForward
    3.4    embeddings and softmax, the tied table       embedding.TokenEmbedding, OutputProjection
    3.5    positional encoding                          positions.sinusoids, Positions
    5.4    residual dropout                             dropout.Dropout

Shapes: ``batch`` sentences, ``source`` and ``target`` positions, ``memory`` for the attended positions,
``heads``, ``d_head = d_model / heads``, ``rows`` of a search (hypotheses). Hidden states are
[batch, time, d_model], heads [batch, heads, time, d_head]. Masks are boolean, True = may attend: callers
pass [batch, time], which is broadcast to [batch, heads, time, memory].

The sites that a recorder visits, in this order (``{l}`` counts from 0; with pre-norm, ``*_norm`` comes
before its sub-layer):

    source.{embedding,scaled_embedding,position,input}
    encoder.{l}.input
    encoder.{l}.self_attention.{queries,keys,values,scores,scaled,may_attend,weights,context,concatenated,output}
    encoder.{l}.{self_attention_residual,self_attention_norm}
    encoder.{l}.feed_forward.{pre_activation,hidden,output}
    encoder.{l}.{feed_forward_residual,feed_forward_norm}
    encoder.final_norm (pre-norm only), encoder.output
    target.* like source.*; decoder.{l}.* like encoder.{l}.*, with cross_attention before feed_forward
    decoder.final_norm (pre-norm only), decoder.output, logits, log_probabilities

Read recorder → positions → embedding → dropout → attention → layers → cache → transformer.
"""

from pellucid.model.cache import DecoderCache
from pellucid.model.recorder import Recorder
from pellucid.model.transformer import ZERO_VECTOR_ID, Transformer

__all__ = ["ZERO_VECTOR_ID", "DecoderCache", "Recorder", "Transformer"]
