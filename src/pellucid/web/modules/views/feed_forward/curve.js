// The activation as a curve, and under it a line for each pre-activation: left of zero they sleep.
import {html, useMemo} from "pellucid/ui";
import {largest} from "pellucid/numbers";
import {t} from "pellucid/texts";

const [TALL, FOOT, EDGE] = [130, 26, 12];

/** p, h: pre-activations and activations, of many units or at many words; `at`: the one that is marked with `label`. */
export function Curve({p, h, activation, at, label, awake, says, room}) {
  const width = Math.min(room, 340);
  const {x, y, curve, ticks} = useMemo(() => drawn({p, activation, width}), [p, activation, width]);
  const foot = TALL + FOOT;
  const isRight = p[at] > 0;
  return html`<svg
    class="activation" width=${width} height=${foot + 20} viewBox=${`0 0 ${width} ${foot + 20}`} role="img"
    aria-label=${says}
  >
    <line class="axis" x1="0" x2=${width} y1=${y(0)} y2=${y(0)} />
    <line class="axis" x1=${x(0)} x2=${x(0)} y1="0" y2=${foot} />
    <path class="ticks asleep" d=${ticks.asleep} /><path class="ticks awake" d=${ticks.awake} />
    <path class="shape" d=${curve} />
    <path class="drop" d=${`M${x(p[at])} ${foot}V${y(h[at])}H${x(0)}`} />
    <circle class="point" cx=${x(p[at])} cy=${y(h[at])} r="4.5" />
    <text
      class="label" x=${x(p[at]) + (isRight ? -9 : 0)} y=${Math.max(y(h[at]) - 9, 11)}
      text-anchor=${isRight ? "end" : x(p[at]) < 70 ? "start" : "middle"}
    >
      ${label}
    </text>
    <text class="tick" x="2" y=${foot + 15}>${t("feed_forward.asleep", {n: p.length - awake})}</text>
    <text class="tick" x=${width - 2} y=${foot + 15} text-anchor="end">${t("feed_forward.awake", {n: awake})}</text>
    <text class="axis-title" x="2" y=${y(0) - 5}>p</text>
    <text class="axis-title" x=${x(0) - 6} y="11" text-anchor="end">h = ${activation.formula("p")}</text>
  </svg>`;
}

function drawn({p, activation, width}) {
  const most = Math.max(largest(p), 1e-6) * 1.05;
  const points = Array.from({length: 97}, (_, i) => ((i - 48) / 48) * most);
  const made = points.map(activation.of);
  const [low, high] = [Math.min(...made, 0), Math.max(...made)];
  const x = (value) => width / 2 + (value / most) * (width / 2);
  const y = (value) => EDGE + ((high - value) / (high - low)) * (TALL - EDGE);
  const path = (values) => values.map((value) => `M${x(value).toFixed(1)} ${TALL + 4}v${FOOT - 4}`).join("");
  const all = Array.from(p);
  return {
    x,
    y,
    curve: points.map((value, i) => `${i ? "L" : "M"}${x(value).toFixed(1)} ${y(made[i]).toFixed(1)}`).join(""),
    ticks: {asleep: path(all.filter((value) => value <= 0)), awake: path(all.filter((value) => value > 0))},
  };
}
