// A line plot with bands, drawn by uPlot on a canvas; what it shows is said in words for those who do not see it.
// Knows lines and axes, not trainings.
import { html, useEffect, useRef } from "./dom.js";
import UPlot from "./vendor/uplot.js";
import { colour, dash } from "./colours.js";

const FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';

/** Several courses on one axis of x: uPlot wants one list of x, and values that may be missing. */
export function aligned(lines) {
  const xs = [...new Set(lines.flatMap((line) => line.x))].sort((a, b) => a - b);
  const place = new Map(xs.map((x, index) => [x, index]));
  const spread = (line, values) => {
    const column = new Array(xs.length).fill(null);
    line.x.forEach((x, index) => {
      column[place.get(x)] = values[index];
    });
    return column;
  };
  return [xs, ...lines.flatMap((line) => [spread(line, line.mean), spread(line, line.low), spread(line, line.high)])];
}

const thousands = (value) => (Math.abs(value) >= 1e6 ? `${+(value / 1e6).toPrecision(3)}M` : Math.abs(value) >= 1e3 ? `${+(value / 1e3).toPrecision(3)}k` : `${value}`);

/** Where lines have points at other places, a line goes on between its own. */
const gaps = () => null;

/**
 * `lines`: {label, colour, dash, x, mean, low, high, band: whether low and high are shown}. `range`: [low, high] shared
 * with other plots, or null. `onHover(x | null)` hears where the pointer is; plots with one `sync` follow each other.
 */
export function LinePlot({ lines, label, height = 170, range, sync, theme, format = (value) => value.toPrecision(3) }) {
  const box = useRef(null);
  const drawn = useRef(null);
  const readout = useRef(null);
  const key = JSON.stringify([lines.map((line) => [line.label, line.place, line.band]), range, theme, height]);
  const data = aligned(lines);
  useEffect(() => {
    const ink = colour("dim");
    const grid = { stroke: colour("line"), width: 1 };
    const axis = { stroke: ink, font: FONT, grid, ticks: { show: false } };
    const tell = (plot) => {
      const at = plot.cursor.idx;
      if (!readout.current) return;
      readout.current.textContent =
        at === null || at === undefined
          ? ""
          : `${thousands(plot.data[0][at])}: ${lines.map((line, index) => [line.label, plot.data[1 + 3 * index][at]]).filter(([, value]) => value !== null && value !== undefined).map(([name, value]) => `${name} ${format(value)}`).join(", ")}`;
    };
    const plot = new UPlot(
      {
        width: box.current.clientWidth || 300,
        height,
        padding: [8, 8, 0, 0],
        legend: { show: false },
        cursor: { sync: sync ? { key: sync } : undefined, drag: { x: false, y: false }, points: { size: 6 }, y: false },
        scales: { x: { time: false }, y: range ? { range: () => range } : {} },
        axes: [
          { ...axis, values: (_, ticks) => ticks.map(thousands), size: 26, space: 56 },
          { ...axis, size: 44, space: 34, values: (_, ticks) => ticks.map(String) },
        ],
        series: [
          {},
          ...lines.flatMap((line) => [
            { label: line.label, stroke: line.colour, width: 1.6, dash: dash(line.place), spanGaps: true, gaps, points: { show: line.mean.length < 2, size: 5 } },
            { show: line.band, stroke: "transparent", spanGaps: true, points: { show: false } },
            { show: line.band, stroke: "transparent", spanGaps: true, points: { show: false } },
          ]),
        ],
        bands: lines.map((line, index) => ({ series: [3 + 3 * index, 2 + 3 * index], fill: `color-mix(in srgb, ${line.colour} ${Math.min(16, Math.max(5, Math.round(40 / lines.length)))}%, transparent)` })).filter((_, index) => lines[index].band),
        hooks: { setCursor: [tell] },
      },
      data,
      box.current,
    );
    drawn.current = plot;
    const observer = new ResizeObserver(([entry]) => plot.setSize({ width: Math.max(120, Math.floor(entry.contentRect.width)), height }));
    observer.observe(box.current);
    return () => {
      observer.disconnect();
      plot.destroy();
      drawn.current = null;
    };
  }, [key]);
  useEffect(() => {
    drawn.current?.setData(data);
  });
  return html`<div class="plot"><div role="img" aria-label=${label} ref=${box} style=${{ minHeight: `${height}px` }} /><div class="readout dim" ref=${readout} aria-hidden="true" /></div>`;
}
