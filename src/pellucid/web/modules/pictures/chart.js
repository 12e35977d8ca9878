// A line chart in SVG: raw points, never smoothed away; one axis each way. For curves of training.
import {html, pressable, useMemo, useState} from "pellucid/ui";
import {short} from "pellucid/numbers";
import {Spoken} from "pellucid/pictures/spoken";
import {useWidth} from "pellucid/pictures/width";

const [LEFT, RIGHT, TOP, BOTTOM] = [64, 16, 26, 40];
const NARROWEST = 240;

/**
 * As wide as there is room, `width` at most.
 *
 * series: [{name, colour, dash, points: [[x, y]]}]; xScale: "linear" | "log"; marks: x values that can be chosen
 * onPick(x): a mark was chosen; describe(name, x, y): what is said of a point
 */
export function LineChart({
  series,
  width: widest = 1100,
  height = 280,
  xScale = "linear",
  xTitle,
  yTitle,
  marks = [],
  picked = null,
  onPick,
  describe,
  name,
}) {
  const [frame, room] = useWidth(widest);
  const width = Math.max(Math.min(widest, room), NARROWEST);
  const scales = useMemo(
    () => scalesOf({series, marks, width, height, xScale}),
    [series, width, height, xScale, marks.join()],
  );
  const [near, setNear] = useState(null);
  if (!scales) return html`<div ref=${frame}></div>`;
  const {x, y, xTicks, yTicks, gap} = scales;
  const onMove = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * width;
    const all = series.flatMap((one) => one.points.map(([a, b]) => ({name: one.name, a, b})));
    setNear(
      all.reduce(
        (best, point) => (best === null || Math.abs(x(point.a) - at) < Math.abs(x(best.a) - at) ? point : best),
        null,
      ),
    );
  };
  return html`
    <div ref=${frame}>
      <svg
        class="chart" width=${width} height=${height} viewBox=${`0 0 ${width} ${height}`} role="group"
        aria-label=${name} onPointerMove=${onMove} onPointerLeave=${() => setNear(null)}
      >
        ${yTicks.map(
          (value) => html`
            <g key=${`y${value}`}>
              <line class="grid-line" x1=${LEFT} x2=${width - RIGHT} y1=${y(value)} y2=${y(value)} />
              <text class="tick" x=${LEFT - 8} y=${y(value)} dy="0.32em" text-anchor="end">${short(value, 3)}</text>
            </g>
          `,
        )}
        ${xTicks.map(
          (value) => html`
            <text key=${`x${value}`} class="tick" x=${x(value)} y=${height - BOTTOM + 18} text-anchor="middle">
              ${short(value, 3)}
            </text>
          `,
        )}
        <text class="axis-title" x=${width - RIGHT} y=${height - 6} text-anchor="end">${xTitle}</text>
        <text class="axis-title" x=${LEFT} y=${TOP - 14}>${yTitle}</text>
        ${series.map(
          (one) => html`
            <path
              key=${one.name} class="curve" d=${pathOf(one.points, x, y, gap)} stroke=${one.colour}
              stroke-dasharray=${one.dash ?? "none"}
            />
          `,
        )}
        ${
          gap !== null &&
          html`
            <path
              class="axis-break" d=${`M${gap - 5} ${height - BOTTOM + 5}l4 -10M${gap + 1} ${height - BOTTOM + 5}l4 -10`}
            />
            ${series.map((one) =>
              one.points
                .filter(([a]) => a < 1)
                .map(
                  ([a, b]) => html`<circle key=${`${one.name}${a}`} cx=${x(a)} cy=${y(b)} r="3" fill=${one.colour} />`,
                ),
            )}
          `
        }
        ${near && html`<circle class="near" cx=${x(near.a)} cy=${y(near.b)} r="4" />`}
        ${marks.map(
          (value) => html`
            <g
              key=${`m${value}`} class=${`mark ${picked === value ? "picked" : ""}`}
              ...${pressable(() => onPick?.(value))} aria-pressed=${picked === value} aria-label=${`${xTitle} ${value}`}
            >
              <line x1=${x(value)} x2=${x(value)} y1=${TOP} y2=${height - BOTTOM} />
              <circle cx=${x(value)} cy=${height - BOTTOM} r="6" />
            </g>
          `,
        )}
      </svg>
    </div>
    <${Spoken} isSaid=${near}>
      ${near ? (describe ?? ((own, a, b) => `${own}: ${a}, ${short(b)}`))(near.name, near.a, near.b) : ""}
    <//>
  `;
}

/** A stretch of a line as a legend shows it. */
export const LineSample = ({colour, dash}) =>
  html`<svg width="34" height="8" aria-hidden="true">
  <line x1="0" x2="34" y1="4" y2="4" stroke=${colour} stroke-width="3" stroke-dasharray=${dash} />
</svg>`;

function scalesOf({series, marks, width, height, xScale}) {
  const xs = [...series.flatMap(({points}) => points.map(([a]) => a)), ...(xScale === "log" ? marks : [])];
  const ys = series.flatMap(({points}) => points.map(([, b]) => b)).filter(Number.isFinite);
  if (!xs.length || !ys.length) return null;
  const hasZero = xScale === "log" && xs.some((value) => value < 1);
  const toX = xScale === "log" ? logarithmic(xs) : (value) => value;
  const [x0, x1] = [Math.min(...xs.map(toX)), Math.max(...xs.map(toX))];
  const [y0, y1] = [Math.min(...ys), Math.max(...ys)];
  const x = (value) => LEFT + ((toX(value) - x0) / (x1 - x0 || 1)) * (width - LEFT - RIGHT);
  const y = (value) => height - BOTTOM - ((value - y0) / (y1 - y0 || 1)) * (height - TOP - BOTTOM);
  const first = Math.min(...xs.filter((value) => value >= 1));
  const xTicks = xScale === "log" ? [...(hasZero ? [0] : []), ...powers(first, Math.max(...xs))] : ticks(x0, x1, 6);
  return {
    x,
    y,
    xTicks,
    yTicks: ticks(y0, y1, 5),
    gap: hasZero && Number.isFinite(first) ? (x(0) + x(first)) / 2 : null,
  };
}

/** Logarithms have no place for 0, the untrained model: it stands apart, left of the first step. */
function logarithmic(xs) {
  const places = xs.filter((value) => value >= 1).map(Math.log10);
  const [start, end] = [Math.min(...places, Infinity), Math.max(...places, 0)];
  const zero = Number.isFinite(start) ? start - 0.1 * (end - start || 1) : 0;
  return (value) => (value < 1 ? zero : Math.log10(value));
}

/** A line through the points; where the axis is broken, so is the line. */
function pathOf(points, x, y, gap) {
  return points
    .map(
      ([a, b], i) => `${i && !(gap !== null && points[i - 1][0] < 1) ? "L" : "M"}${x(a).toFixed(1)} ${y(b).toFixed(1)}`,
    )
    .join("");
}

/** Powers of ten within a range; where they are few, also their doubles and halves, so that two places can be read. */
function powers(low, high) {
  const inside = (factors) =>
    [1, 10, 100, 1e3, 1e4, 1e5, 1e6]
      .flatMap((power) => factors.map((factor) => factor * power))
      .filter((value) => value >= low && value <= high);
  return [[1], [1, 2, 5]].map(inside).find((found) => found.length >= 3) ?? inside([1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9]);
}

/** Round numbers within a range. */
function ticks(low, high, about) {
  const rough = (high - low) / about || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-9; value += step)
    found.push(Number(value.toPrecision(12)));
  return found;
}
