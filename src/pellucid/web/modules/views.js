// The views, in the order of the walkthrough: a new one is a new file in views/ and a new line here. The first view
// comes with the page; the code of the others comes when they are opened.
import {withTexts} from "pellucid/texts";
import {lazy} from "pellucid/views/lazy";
import {TranslateView} from "pellucid/views/translate";

const StackView = lazy("stack", () => import("pellucid/views/stack"), "StackView");
const EmbeddingsView = lazy("embeddings", () => import("pellucid/views/embeddings"), "EmbeddingsView");
const PositionsView = lazy("positions", () => import("pellucid/views/positions"), "PositionsView");
const AttentionView = lazy("attention", () => import("pellucid/views/attention/attention"), "AttentionView");
const MatricesView = lazy("matrices", () => import("pellucid/views/attention/matrices"), "MatricesView");
const HeadsView = lazy("heads", () => import("pellucid/views/attention/heads"), "HeadsView");
const LinksView = lazy("links", () => import("pellucid/views/attention/links"), "LinksView");
const AtlasView = lazy("atlas", () => import("pellucid/views/attention/atlas"), "AtlasView");
const ResidualView = lazy("residual", () => import("pellucid/views/residual"), "ResidualView");
const FeedForwardView = lazy(
  "feed_forward",
  () => import("pellucid/views/feed_forward/feed_forward"),
  "FeedForwardView",
);
const DecoderView = lazy("decoder", () => import("pellucid/views/decoder"), "DecoderView");
const SoftmaxView = lazy("softmax", () => import("pellucid/views/softmax"), "SoftmaxView");
const TargetsView = lazy("targets", () => import("pellucid/views/targets"), "TargetsView");
const CurvesView = lazy("curves", () => import("pellucid/views/curves"), "CurvesView");
const HealthView = lazy("health", () => import("pellucid/views/health"), "HealthView");

const CompareView = lazy("compare", () => import("pellucid/views/compare/compare"), "CompareView");
const WhyView = lazy("why", () => withTexts("why", import("pellucid/views/why/why")), "WhyView");
const SearchView = lazy("search", () => import("pellucid/views/search/search"), "SearchView");

/** Each: its name (in the address and in the texts) and its Component ({trace, model, state}). */
export const VIEWS = [
  {name: "translate", Component: TranslateView},
  {name: "stack", Component: StackView},
  {name: "embeddings", Component: EmbeddingsView},
  {name: "positions", Component: PositionsView},
  {name: "attention", Component: AttentionView},
  {name: "matrices", Component: MatricesView},
  {name: "heads", Component: HeadsView},
  {name: "links", Component: LinksView},
  {name: "atlas", Component: AtlasView},
  {name: "residual", Component: ResidualView},
  {name: "feed_forward", Component: FeedForwardView},
  {name: "decoder", Component: DecoderView},
  {name: "softmax", Component: SoftmaxView},
  {name: "search", Component: SearchView},
  {name: "targets", Component: TargetsView},
  {name: "curves", Component: CurvesView},
  {name: "health", Component: HealthView},
  {name: "compare", Component: CompareView},
  {name: "why", Component: WhyView},
];

export const viewNamed = (name) => VIEWS.find((view) => view.name === name) ?? VIEWS[0];
