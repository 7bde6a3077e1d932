// Clips are played beside their fills (lesson 11): `FilmPlayer` of `simmim_lab/widgets/the_mim_family.py`.

import { say } from "./say.js";

export const FilmPlayer = {
  follows: ["clip_index"],

  // `films` are the clips and their fills, each with all clips one behind the other, and `masks` what is hidden.
  compute(state, { films, masks, frames }, words) {
    const { size, clip_index, panels } = state;
    const area = size[0] * size[1];
    const part = (bytes, frame, length) => bytes.subarray((clip_index * frames + frame) * length).subarray(0, length);
    const shown = [films[0], ...films]; // the clip as it is, what is seen of it, and the fills
    const [pixels, hidden] = [[], []];
    for (let frame = 0; frame < frames; frame++) {
      for (const film of shown) pixels.push(...part(film, frame, 3 * area));
      for (const _ of panels) hidden.push(...part(masks, frame, area));
    }
    const changes = { pixels: Uint8Array.from(pixels), hidden: Uint8Array.from(hidden) };
    return { ...changes, ...FilmPlayer.describe({ ...state, ...changes }, { frames }, words) };
  },

  describe({ index, size, panels, hidden }, { frames }, words) {
    const frame = Math.min(index, frames - 1);
    const area = size[0] * size[1];
    const mask = hidden.subarray(frame * panels.length * area).subarray(0, area);
    const share = mask.reduce((sum, value) => sum + value, 0) / area;
    return { status: say(words.frame, { frame: frame + 1, frames, share }) };
  },
};
