// Two losses over a prediction (lesson 04): `simmim_lab/widgets/mse_loss.py`.

import { say } from "./say.js";

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

// MSE and L1 of a prediction.
function losses(prediction, targets) {
  const errors = targets.map((target) => prediction - target);
  return [mean(errors.map((error) => error ** 2)), mean(errors.map(Math.abs))];
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : mean(sorted.slice(half - 1, half + 1));
}

export const LossPlayground = {
  follows: ["targets", "prediction", "example"],

  compute({ targets, prediction, example, chart }, { examples, yours }, words, changed) {
    if (changed.has("example")) targets = examples[example] ?? targets;
    if (String(targets) !== String(examples[example])) example = yours;
    const series = chart.series.map((line, i) => ({ ...line, y: line.x.map((x) => losses(x, targets)[i]) }));
    const [mse, l1] = losses(prediction, targets);
    const status = say(words.losses, { prediction, mse, mean: mean(targets), l1, median: median(targets) });
    return { targets, example, chart: { ...chart, dots: targets, series }, status };
  },
};
