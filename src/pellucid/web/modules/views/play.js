// Play, back and forth through the steps of a chapter.
import {html, useEffect, useState} from "pellucid/ui";
import {t} from "pellucid/texts";

const SECONDS_A_STEP = 1.1;

/**
 * Buttons that go through the steps 0 to steps - 1. At the last step, and where the reader has not chosen one
 * (`isChosen`), play begins with the first.
 */
export function Play({step, steps, go, isChosen = true}) {
  const [isPlaying, setPlaying] = useState(false);
  useEffect(() => {
    if (!isPlaying) return undefined;
    if (step + 1 >= steps) return setPlaying(false);
    const timer = setTimeout(() => go(step + 1), SECONDS_A_STEP * 1000);
    return () => clearTimeout(timer);
  }, [isPlaying, step]);
  const start = () => {
    if (!isPlaying && (step + 1 >= steps || !isChosen)) go(0);
    setPlaying(!isPlaying);
  };
  return html`<span class="choice play">
    <button aria-pressed=${isPlaying} onClick=${start}>${t(isPlaying ? "decoder.pause" : "decoder.play")}</button>
    <button disabled=${step === 0} onClick=${() => go(step - 1)} aria-label=${t("decoder.back")}>←</button>
    <button disabled=${step + 1 >= steps} onClick=${() => go(step + 1)} aria-label=${t("decoder.forth")}>→</button>
  </span>`;
}
