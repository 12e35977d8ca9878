// The words that a chapter uses and does not explain, at its foot: closed until somebody asks.
// A word stands once in the texts: words.<key>.name and words.<key>.text. The list of chapters is views.js.
import {html} from "pellucid/ui";
import {t} from "pellucid/texts";

/** The words of each chapter, in the order in which it uses them. */
export const WORDS = {
  translate: ["piece", "walkthrough"],
  stack: ["learnt", "linear", "non_linear", "configuration", "paper", "start", "pre_norm"],
  embeddings: ["cosine", "dot_product", "matrix"],
  positions: ["sinusoid", "interleaved", "paper", "marian", "tensor2tensor", "dot_product"],
  attention: ["matrix", "bias", "dot_product", "exp", "site"],
  matrices: ["matrix", "bias", "index", "equation", "d_k"],
  heads: ["matrix", "bias", "entropy", "nat"],
  links: ["entropy", "nat", "start"],
  atlas: ["entropy", "ln", "nat"],
  residual: ["residual", "variance", "gain", "bias", "pre_norm", "cosine"],
  feed_forward: ["matrix", "bias", "pre_activation", "activation", "learnt", "cosine"],
  decoder: ["start", "search"],
  softmax: ["linear", "dot_product", "exp", "temperature", "entropy", "nat"],
  search: ["search", "log_probability", "temperature", "top_k", "alpha"],
  targets: ["one_hot", "ln", "perplexity"],
  curves: [
    "batch",
    "snapshot",
    "validation",
    "nll",
    "nat",
    "logarithmic",
    "learning_rate",
    "gradient",
    "token",
    "padding",
    "reference",
    "run_folder",
  ],
  health: ["threshold", "reference", "entropy", "nat", "byte", "log_probability", "trace"],
  compare: ["cosine", "site"],
  why: ["log_probability", "bias", "gradient", "nat", "pre_norm", "start"],
};

export const Glossary = ({view}) => html`
  <details class="glossary" key=${view}>
    <summary>${t("words.title")}</summary>
    <dl>
      ${WORDS[view].map(
        (word) => html`<div key=${word}><dt>${t(`words.${word}.name`)}</dt><dd>${t(`words.${word}.text`)}</dd></div>`,
      )}
    </dl>
  </details>
`;
