// Numbers, times and places as text. Knows no elements.

/** 0.42 s, 42 s, 1:07, 2 h 05, 3 d 4 h: two figures that matter. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return "";
  if (seconds < 10) return `${seconds < 0.05 ? "0" : seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, "0")}`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

export function bytes(count) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let unit = 0;
  let value = count;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit && value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

export const short = (id) => id.slice(0, 8);

export const counted = (number) => number.toLocaleString("en").replaceAll(",", " ");

export const plural = (number, word, words = `${word}s`) => `${counted(number)} ${number === 1 ? word : words}`;

export const percent = (share) => `${Math.floor(100 * share)} %`;

/** A value x 100 with one decimal, as tables in the field print it. */
export const score = (value) => (value === null || value === undefined ? "–" : (100 * value).toFixed(1));

export const signed = (value, digits = 3) => `${value > 0 ? "+" : value < 0 ? "−" : "±"}${Math.abs(value).toFixed(digits)}`;

export function clock(seconds) {
  if (!seconds) return "";
  const date = new Date(1000 * seconds);
  const time = date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const today = new Date().toDateString() === date.toDateString();
  return today ? time : `${date.toLocaleDateString("en-GB", { day: "numeric", month: "short" })} ${time}`;
}

/** The value at a coordinate; one that says nothing by itself is named. */
const bare = (axis, value) => (/^[\d.,:e+-]*$|^(true|false|none|null)$/i.test(value) ? `${axis} ${value}` : value);

/** The place of a job as text: BCE · BERT · seed 1. */
export const place = (coordinates) => Object.entries(coordinates).map(([axis, value]) => bare(axis, String(value))).join(" · ");

/** The place of a job in full: loss=BCE backbone=BERT seed=1. */
export const placeInFull = (coordinates) => Object.entries(coordinates).map(([axis, value]) => `${axis}=${value}`).join("  ");

/** A value of a configuration as text. */
export const plain = (value) =>
  value === null || value === undefined ? "none" : typeof value === "object" ? JSON.stringify(value) : typeof value === "number" && Math.abs(value) >= 10000 && Number.isInteger(value) ? counted(value) : String(value);
