"""Why this piece: how much each source piece and each earlier target piece has to do with what a step writes.

    input_x_gradient       the slope of the score, times the embedding
    integrated_gradients   the same, averaged on the way from zero embeddings; the parts sum to what the score gained
    occlusion              what the score loses if the embedding of a piece is zero
    value_zeroing          what the score loses if no position of the decoder takes anything from a piece
    alti                   how much of the decoder's state comes from each piece, layer by layer; the parts sum to 1
    alti_logit             the same, for one logit or a difference of two; the parts and the biases sum to it

Read ``question.py`` first (what is asked), then ``methods.py`` (who answers); ``faithfulness.py`` measures which of the
answers can be believed.
"""
