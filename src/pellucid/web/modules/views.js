// The views, in the order of the walkthrough: a new one is a new file in views/ and a new line here.
import {AtlasView} from "pellucid/views/atlas";
import {DecoderView} from "pellucid/views/decoder";
import {LinksView} from "pellucid/views/links";
import {SoftmaxView} from "pellucid/views/softmax";
import {TranslateView} from "pellucid/views/translate";

/** Each: its name (in the address and in the texts) and its Component ({trace, model, state}). */
export const VIEWS = [
  {name: "translate", Component: TranslateView},
  {name: "links", Component: LinksView},
  {name: "atlas", Component: AtlasView},
  {name: "decoder", Component: DecoderView},
  {name: "softmax", Component: SoftmaxView},
];

export const viewNamed = (name) => VIEWS.find((view) => view.name === name) ?? VIEWS[0];
