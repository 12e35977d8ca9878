// Which words belong together: links by heads, by the mean of a layer or by ALTI+, beside known links if some are
// given. Read gold.js next, then methods.js.
import {html, pressable, useEffect, useState} from "pellucid/ui";
import {ofTrace, useData} from "pellucid/data";
import {Figure, Waiting} from "pellucid/pictures/figure";
import {Matrix} from "pellucid/pictures/matrix";
import {useWidth} from "pellucid/pictures/width";
import {percent, short} from "pellucid/numbers";
import {Choice, Setting, settingOf} from "pellucid/pickers";
import {indexOf, setState} from "pellucid/state";
import {t} from "pellucid/texts";
import {knownLinks, linksOfStory, scoresOf} from "pellucid/views/why/gold";

const ROW = 26;
const KINDS = ["right", "wrong", "missed", "found"];

export function WordLinks({trace, state}) {
  const unit = settingOf(state, "why.unit", ["spaces", "words"]);
  const data = useData(`${trace.id} align ${unit}`, () => ofTrace(trace, "align", {unit}));
  const fresh = {...data, value: data.isStale ? undefined : data.value};
  return html`
    <div class="controls">
      <${Setting}
        state=${state} name="why.unit" label=${t("why.links.unit")}
        options=${["spaces", "words"].map((name) => [name, t(`why.links.unit.${name}`)])}
      />
    </div>
    <${Waiting} data=${fresh}>${(found) => html`<${Chosen} ...${{trace, state, found}} />`}<//>
  `;
}

/** The links that the address names: {by, at, layer, head, links}. */
function chosenOf(state, found) {
  const ways = ["named", "alti", "mean", "head"].filter((name) => !(name in found) || found[name]);
  const by = settingOf(state, "why.by", ways);
  const at = settingOf(state, "why.at", ["writes", "reads"]);
  const layer = Math.max(indexOf(state, "why.layer", found.means.writes.length), 0);
  const head = Math.max(indexOf(state, "why.head", found.heads.writes[layer].length), 0);
  const links = {
    named: () => found.named.links,
    alti: () => found.alti,
    mean: () => found.means[at][layer],
    head: () => found.heads[at][layer][head],
  }[by]();
  return {ways, by, at, layer, head, links};
}

function Chosen({trace, state, found}) {
  const chosen = chosenOf(state, found);
  const {by, at, layer, head, links} = chosen;
  const sizes = [found.source_words.length, found.target_words.length];
  const order = settingOf(state, "why.order", ["source", "target"]);
  const gold = knownLinks(state["why.gold"] ?? "", sizes, order === "target");
  const isJudged = gold.links.length > 0 && !gold.problem;
  const name = t(`why.links.name.${by}`, {
    layer,
    head,
    heads: found.named?.heads.map(([l, h]) => `${l}.${h}`).join(" ") ?? "",
  });
  const says = isJudged
    ? scoreText(scoresOf(links, gold.links))
    : t("why.links.says", {n: links.length, source: sizes[0], target: sizes[1]});
  const table = () => ({
    columns: ["#", t("why.source"), "#", t("why.target"), t("why.links.kind")],
    rows: judged(links, isJudged ? gold.links : null).map(([i, j, kind]) => [
      i,
      found.source_words[i],
      j,
      found.target_words[j],
      t(`why.links.${kind}`),
    ]),
  });
  return html`
    <${Ways} ...${{found, ...chosen}} />
    ${!found.alti && html`<p class="hint">${t("why.not_split")}</p>`}
    <${Gold}
      ...${{state, problem: gold.problem}}
      story=${settingOf(state, "why.unit", ["spaces", "words"]) === "spaces" ? linksOfStory(trace) : ""}
    />
    <${Figure}
      name="word-links" title=${t("why.links.figure", {name})} provenance=${trace.provenance} table=${table}
      says=${says} caption=${t("why.links.caption")} subject=${`${by} ${at} ${layer} ${head} ${state["why.gold"]}`}
    >
      <${Lines} found=${found} lines=${judged(links, isJudged ? gold.links : null)} isJudged=${isJudged} />
    <//>
    ${isJudged && html`<${Rates} ...${{trace, found, gold: gold.links, at, by, layer, head}} />`}
  `;
}

const scoreText = ({precision, recall, rate, common, found, known}) =>
  t("why.links.scores", {
    precision: percent(precision),
    recall: percent(recall),
    rate: short(rate),
    common,
    found,
    known,
  });

function Ways({found, ways, by, at, layer, head}) {
  const numbers = (n) => Array.from({length: n}, (_, i) => [i, String(i)]);
  const isOne = by === "mean" || by === "head";
  return html`<div class="controls">
    <${Choice}
      label=${t("why.links.by")} value=${by} options=${ways.map((name) => [name, t(`why.links.by.${name}`)])}
      onChange=${(name) => setState({"why.by": name})}
    />
    ${
      isOne &&
      html`<${Choice}
        label=${t("pick.layer")} value=${layer} options=${numbers(found.means.writes.length)}
        onChange=${(one) => setState({"why.layer": String(one)})}
      />`
    }
    ${
      by === "head" &&
      html`<${Choice}
        label=${t("pick.head")} value=${head} options=${numbers(found.heads.writes[layer].length)}
        onChange=${(one) => setState({"why.head": String(one)})}
      />`
    }
    ${
      isOne &&
      html`<${Choice}
        label=${t("why.links.at")} value=${at}
        options=${["writes", "reads"].map((one) => [one, t(`why.links.at.${one}`)])}
        onChange=${(one) => setState({"why.at": one})}
      />`
    }
  </div>`;
}

/** Known links, as they are pasted: "0-0 1-2". */
function Gold({state, problem, story}) {
  const [text, setText] = useState(state["why.gold"] ?? "");
  useEffect(() => setText(state["why.gold"] ?? ""), [state["why.gold"]]);
  const keep = (event) => {
    event.preventDefault();
    setState({"why.gold": text.trim()});
  };
  return html`
    <form class="edit-typed why-gold" onSubmit=${keep}>
      <label>
        ${t("why.links.gold")} <input
          value=${text} autocomplete="off" spellcheck=${false} size="30" placeholder="0-0 1-2" maxlength="4000"
          onInput=${(event) => setText(event.currentTarget.value)}
        />
      </label>
      <button>${t("why.links.judge")}</button>
      <${Setting}
        state=${state} name="why.order" label=${t("why.links.order")}
        options=${["source", "target"].map((name) => [name, t(`why.links.order.${name}`)])}
      />
    </form>
    ${
      story &&
      state["why.gold"] !== story &&
      html`<p>
        <button onClick=${() => setState({"why.gold": story, "why.order": ""})}>${t("why.links.story")}</button>
      </p>`
    }
    ${problem && html`<p class="problem" role="alert">${t("why.links.problem", problem)}</p>`}
  `;
}

/** [source, target, kind] of every line: the links and, if some are known, which are right and what is missed. */
function judged(links, gold) {
  if (!gold) return links.map(([i, j]) => [i, j, "found"]);
  const [own, known] = [new Set(links.map(String)), new Set(gold.map(String))];
  return [
    ...links.map((link) => [...link, known.has(String(link)) ? "right" : "wrong"]),
    ...gold.filter((link) => !own.has(String(link))).map((link) => [...link, "missed"]),
  ];
}

function Lines({found, lines, isJudged}) {
  const [frame, room] = useWidth(760);
  const [picked, pick] = useState(null); // [side, word]
  const [left, right] = [Math.round(room * 0.36), Math.round(room * 0.64)];
  const height = Math.max(found.source_words.length, found.target_words.length) * ROW + 20;
  const y = (word) => 20 + word * ROW;
  const isPicked = (side, word) => picked?.[0] === side && picked[1] === word;
  const partners = (side, word) =>
    lines
      .filter((line) => line[2] !== "missed" && line[side] === word)
      .map((line) => [found.target_words, found.source_words][side][line[1 - side]]);
  const words = (side, texts, x, anchor) =>
    texts.map(
      (text, word) =>
        html`<g
          key=${`${side} ${word}`} class=${`unit ${isPicked(side, word) ? "pinned" : ""}`}
          aria-pressed=${isPicked(side, word)}
          ...${pressable(() => pick(isPicked(side, word) ? null : [side, word]))}
          aria-label=${t("why.links.word", {
            word,
            text,
            others: partners(side, word).join(", ") || t("why.links.nothing"),
          })}
        >
          <rect x=${side ? right - 4 : 0} y=${y(word) - ROW / 2} width=${side ? room - right + 4 : left + 4}
            height=${ROW - 2} rx="5" />
          <text x=${x} y=${y(word)} dy="0.32em" text-anchor=${anchor} direction="ltr">
            ${side === 0 && text} <tspan class="second" dx=${side ? 0 : 6}>${word}</tspan>
            ${side === 1 && html`<tspan dx="6">${text}</tspan>`}
          </text>
        </g>`,
    );
  return html`<div ref=${frame}>
    <svg
      class="links why-links" width=${room} height=${height} viewBox=${`0 0 ${room} ${height}`} role="group"
      aria-label=${t("why.links.picture")}
    >
      <g aria-hidden="true">
        ${lines.map(
          ([i, j, kind]) =>
            html`<line
              key=${`${i} ${j}`} class=${kind} x1=${left + 8} x2=${right - 8} y1=${y(i)} y2=${y(j)}
              opacity=${picked && ![i, j].some((word, side) => isPicked(side, word)) ? 0.15 : 1}
            />`,
        )}
      </g>
      ${words(0, found.source_words, left - 2, "end")} ${words(1, found.target_words, right + 2, "start")}
    </svg>
    ${
      isJudged &&
      html`<p class="legend">
        ${KINDS.slice(0, 3).map(
          (kind) =>
            html`<span key=${kind}>
              <svg class="why-links" width="34" height="10" aria-hidden="true">
                <line x1="0" x2="34" y1="5" y2="5" class=${kind} />
              </svg> ${t(`why.links.${kind}`)}
            </span>`,
        )}
      </p>`
    }
  </div>`;
}

/** The alignment error rate of every head, and of the mean of every layer. */
function Rates({trace, found, gold, at, by, layer, head}) {
  const [frame, room] = useWidth(700);
  const heads = found.heads[at];
  const num = heads[0].length;
  const rate = (links) => scoresOf(links, gold).rate;
  const values = Float32Array.from(heads.flatMap((own, l) => [...own.map(rate), rate(found.means[at][l])]));
  const columns = [...heads[0].map((_, h) => String(h)), t("why.links.mean")];
  const rows = heads.map((_, l) => `${t("pick.layer")} ${l}`);
  const best = values.reduce((least, value, i) => (value < values[least] ? i : least), 0);
  const isMean = (i) => i % (num + 1) === num;
  const single = values.reduce((least, value, i) => (!isMean(i) && value < values[least] ? i : least), 0);
  const said = (key, i) => t(key, {name: nameOf(Math.floor(i / (num + 1)), i % (num + 1)), rate: short(values[i])});
  const nameOf = (l, h) =>
    h === num ? t("why.links.name.mean", {layer: l}) : t("why.links.name.head", {layer: l, head: h});
  const describe = (l, h) => `${nameOf(l, h)}: ${short(values[l * (num + 1) + h])}`;
  const more = ["named", "alti"].flatMap((name) =>
    found[name] ? [`${t(`why.links.by.${name}`)}: ${short(rate(found[name].links ?? found[name]))}`] : [],
  );
  const table = () => ({
    columns: [t("pick.layer"), ...columns],
    rows: heads.map((_, l) => [l, ...values.subarray(l * (num + 1), (l + 1) * (num + 1))]),
  });
  const selected = by === "head" ? [layer, head] : by === "mean" ? [layer, num] : null;
  return html`<${Figure}
    frame=${frame} name="error-rates" title=${t("why.links.rates", {at: t(`why.links.at.${at}`)})}
    provenance=${trace.provenance} table=${table} subject=${`${at} ${gold}`}
    says=${[said("why.links.best", best), ...(isMean(best) ? [said("why.links.best_head", single)] : [])].join(" ")}
    caption=${[...more, t("why.links.few")].join(" · ")}
  >
    <${Matrix}
      values=${values} shape=${[heads.length, num + 1]} rows=${rows} columns=${columns}
      scale=${{kind: "sequential", most: 1}} cell=${Math.max(Math.min(Math.floor((room - 120) / (num + 1)), 34), 16)}
      name=${t("why.links.rates", {at: t(`why.links.at.${at}`)})} columnTitle=${t("pick.head")} describe=${describe}
      selected=${selected}
      onSelect=${(l, h) =>
        setState({
          "why.layer": String(l),
          ...(h === num ? {"why.by": "mean"} : {"why.by": "head", "why.head": String(h)}),
        })}
    />
  <//>`;
}
