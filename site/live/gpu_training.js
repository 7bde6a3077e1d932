// How many epochs there is time for (lesson 06): `simmim_lab/widgets/gpu_training.py`. What a model takes is in `presets`.

import { say } from "./say.js";

export const BudgetExplorer = {
  follows: ["preset", "gpu", "dataset", "minutes", "utilisation"],

  compute({ preset, gpu, dataset, minutes, utilisation, chart }, { presets, gpus, datasets }, words) {
    const { training_flops, state_bytes, size } = presets[preset];
    const images = datasets[dataset];
    const secondsPerEpoch = (name) => (training_flops * images) / (gpus[name].flops * utilisation);
    const series = chart.series.map((line) => {
      const seconds = secondsPerEpoch(line.label);
      return { ...line, bold: line.label === gpu, y: line.x.map((x) => (60 * x) / seconds) };
    });
    const seconds = secondsPerEpoch(gpu);
    const status = say(words.plan, {
      ...{ minutes, gpu, preset, images, size, utilisation },
      epochs: short((60 * minutes) / seconds),
      giga: short(training_flops / 1e9),
      seconds: short(seconds),
      state: short(state_bytes / 1e9, 2),
      memory: gpus[gpu].memory / 1e9,
    });
    return { chart: { ...chart, series }, status };
  },
};

// The digits that count, such as 0.0881 or 6,840.
const short = (number, digits = 3) => number.toLocaleString("en", { maximumSignificantDigits: digits });
