// The views, in the order of the walkthrough: a new one is a new file in views/ and a new line here.
import {AtlasView} from "pellucid/views/atlas";
import {AttentionView} from "pellucid/views/attention";
import {DecoderView} from "pellucid/views/decoder";
import {HeadsView} from "pellucid/views/heads";
import {LinksView} from "pellucid/views/links";
import {MatricesView} from "pellucid/views/matrices";
import {SoftmaxView} from "pellucid/views/softmax";
import {TranslateView} from "pellucid/views/translate";

/** Each: its name (in the address and in the texts) and its Component ({trace, model, state}). */
export const VIEWS = [
  {name: "translate", Component: TranslateView},
  {name: "attention", Component: AttentionView},
  {name: "matrices", Component: MatricesView},
  {name: "heads", Component: HeadsView},
  {name: "links", Component: LinksView},
  {name: "atlas", Component: AtlasView},
  {name: "decoder", Component: DecoderView},
  {name: "softmax", Component: SoftmaxView},
];

export const viewNamed = (name) => VIEWS.find((view) => view.name === name) ?? VIEWS[0];
