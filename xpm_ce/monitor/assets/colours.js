// Colours that carry numbers: one hue from light to deep, so that order is seen by everybody; and lines told apart.
// Knows no data.

/** From the lowest to the highest value, on light and on dark ground: [lightness, chroma], hue 250 (blue). */
const RAMPS = { light: [[0.97, 0.012], [0.46, 0.13]], dark: [[0.26, 0.02], [0.74, 0.115]] };
const HUE = 250;

export const isDark = () => {
  const set = document.documentElement.dataset.theme;
  return set ? set === "dark" : window.matchMedia("(prefers-color-scheme: dark)").matches;
};

/** Ground and ink of a cell whose value is a share (0 to 1) of the way from lowest to highest. */
export function heat(share, dark = isDark()) {
  const [from, to] = RAMPS[dark ? "dark" : "light"];
  const [lightness, chroma] = from.map((each, index) => each + (to[index] - each) * Math.min(1, Math.max(0, share)));
  // Where black and white are read equally well: a luminance of 0.18, whose cube root is the lightness.
  return { ground: `oklch(${lightness.toFixed(3)} ${chroma.toFixed(3)} ${HUE})`, ink: lightness > 0.565 ? "#000000" : "#ffffff" };
}

/** A colour of the style sheet, as it is on the page's ground now. */
export function colour(name) {
  const probe = document.body.appendChild(document.createElement("i"));
  probe.style.color = `var(--${name})`;
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

/** The colour of the nth line. */
export const lineColour = (index) => colour(`series-${(index % 8) + 1}`);

/** Dashes that tell lines apart besides their colour. */
const DASHES = [[], [8, 3], [2, 3], [8, 3, 2, 3], [12, 4], [4, 4], [1, 3], [12, 3, 2, 3, 2, 3]];
export const dash = (index) => DASHES[index % DASHES.length];
