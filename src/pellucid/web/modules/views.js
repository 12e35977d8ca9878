// The views, in the order of the walkthrough: a new one is a new file in views/ and a new line here.
import {lazy} from "pellucid/views/lazy";
import {AtlasView} from "pellucid/views/attention/atlas";
import {AttentionView} from "pellucid/views/attention/attention";
import {CurvesView} from "pellucid/views/curves";
import {DecoderView} from "pellucid/views/decoder";
import {EmbeddingsView} from "pellucid/views/embeddings";
import {HeadsView} from "pellucid/views/attention/heads";
import {HealthView} from "pellucid/views/health";
import {LinksView} from "pellucid/views/attention/links";
import {MatricesView} from "pellucid/views/attention/matrices";
import {PositionsView} from "pellucid/views/positions";
import {ResidualView} from "pellucid/views/residual";
import {SoftmaxView} from "pellucid/views/softmax";
import {StackView} from "pellucid/views/stack";
import {TargetsView} from "pellucid/views/targets";
import {TranslateView} from "pellucid/views/translate";

const FeedForwardView = lazy(
  "feed_forward",
  () => import("pellucid/views/feed_forward/feed_forward"),
  "FeedForwardView",
);

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
];

export const viewNamed = (name) => VIEWS.find((view) => view.name === name) ?? VIEWS[0];
