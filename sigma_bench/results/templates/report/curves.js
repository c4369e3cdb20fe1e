// Curves of training runs: a panel a quantity, a colour and a line style a run.

const STYLES = ['', '6 3', '2 2', '7 3 2 3'];
const MOST_RUNS = 8;
const SPAN = 50;

const colourOf = (place) => `var(--series-${place % 8})`;
const styleOf = (place) => STYLES[Math.floor(place / 8) % STYLES.length] || STYLES[place % STYLES.length];

// Five figures, with a power of ten where there would be many zeros.
const brief = (value) => {
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-3 || size >= 1e6) ? value.toExponential(3).replace(/\.?0+e/, 'e') : String(Number(value.toPrecision(5)));
};

// Ticks of a logarithmic axis: powers of ten, with 2 and 5 between where they are few.
const decades = (values) => {
  const [low, high] = d3.extent(values);
  const powers = d3.range(Math.floor(Math.log10(low)), Math.ceil(Math.log10(high)) + 1);
  const steps = powers.length > 4 ? [1] : [1, 2, 5];
  const found = powers.flatMap((power) => steps.map((step) => Number(`${step}e${power}`))).filter((tick) => tick >= low && tick <= high);
  return found.length > 8 ? found.filter((_, i) => i % Math.ceil(found.length / 8) === 0) : found;
};

const curvesPart = (host) => {
  const { axes, runs } = content.curves;
  if (!runs.length) return;
  const shown = new Set(runs.map((_, i) => i).slice(0, MOST_RUNS));
  const panels = el('div', { class: 'cards' });
  const table = el('div');
  const now = { axis: 'step' };
  const legend = el('fieldset', { class: 'legend' }, el('legend', {}, 'Runs'), runs.map((run, i) => {
    const box = el('input', { type: 'checkbox', id: `run-${i}`, checked: shown.has(i) });
    box.addEventListener('change', () => {
      if (box.checked) shown.add(i);
      else shown.delete(i);
      draw();
    });
    const swatch = el('span', { class: 'swatch', 'aria-hidden': 'true', style: `border-top-color:${colourOf(i)};border-top-style:${['solid', 'dashed', 'dotted', 'dashed'][i % 4]}` });
    return el('div', { class: 'check' }, box, el('label', { for: `run-${i}` }, swatch, run.run, run.miniature ? el('span', { class: 'badge miniature' }, 'miniature') : null));
  }));
  const epochs = runs.every((run) => run.epochs_a_step);
  const axis = choice(epochs ? [['step', 'step'], ['epoch', 'epoch']] : [['step', 'step']], 'step', (value) => { now.axis = value; draw(); });
  const draw = () => {
    panels.replaceChildren();
    axes.forEach((quantity, place) => {
      const drawn = [...shown].sort((a, b) => a - b).filter((i) => runs[i].lines[place]);
      if (drawn.length) panel(panels, quantity, place, drawn, now.axis);
    });
    lastValues(table, [...shown].sort((a, b) => a - b));
  };
  host.replaceChildren(el('div', { class: 'tools' }, legend, labelled('Horizontal axis', axis)), panels, table);
  if (runs.some((run) => run.warnings.length)) panels.before(el('p', { class: 'quiet' }, 'Red lines: warnings of a run, told below.'));
  if (runs.length > MOST_RUNS) host.append(el('p', { class: 'quiet' }, `${MOST_RUNS} of ${runs.length} runs are drawn at first.`));
  draw();
};

const panel = (cards, quantity, place, drawn, axis) => {
  const card = el('div', { class: 'card' });
  cards.append(card);
  const { runs } = content.curves;
  const scale = (i) => (axis === 'epoch' ? runs[i].epochs_a_step : 1);
  const points = drawn.flatMap((i) => runs[i].lines[place].x.map((x, k) => ({ i, x: x * scale(i), y: runs[i].lines[place].y[k] })));
  const warned = drawn.flatMap((i) => runs[i].warnings.map(([step, text]) => ({ i, x: step * scale(i), text })));
  const values = points.map((point) => point.y);
  const log = quantity.log && d3.min(values) > 0 && d3.max(values) / d3.min(values) > SPAN;
  const thinned = drawn.some((i) => runs[i].lines[place].of > runs[i].lines[place].x.length);
  const plot = Plot.plot({
    width: card.clientWidth - 24,
    height: 210,
    marginLeft: 52,
    marginRight: 22,
    marginBottom: 34,
    x: { label: axis, labelArrow: 'none', ticks: 5 },
    y: { grid: true, label: null, type: log ? 'log' : 'linear', ticks: log ? decades(values) : 4, tickFormat: brief, nice: !log },
    marks: [
      Plot.ruleX(warned, { x: 'x', stroke: 'var(--bad)', strokeDasharray: '2 3' }),
      ...drawn.map((i) => Plot.line(points.filter((point) => point.i === i), { x: 'x', y: 'y', stroke: colourOf(i), strokeWidth: 1.8, strokeDasharray: styleOf(i), clip: true })),
      ...drawn.map((i) => Plot.dot(points.filter((point) => point.i === i).slice(-1), { x: 'x', y: 'y', fill: colourOf(i), r: 3 })),
      Plot.tip(points, Plot.pointer({ x: 'x', y: 'y', title: (d) => `${runs[d.i].run}\n${axis} ${+d.x.toFixed(2)}: ${d.y}` })),
    ],
  });
  const words = [quantity.unit ? `(${quantity.unit})` : '', log ? 'logarithmic' : '', thinned ? 'thinned, peaks kept' : ''].filter(Boolean);
  const made = figure(card, plot, quantity.title, words.join(' · '));
  made.title = quantity.meaning;
};

const lastValues = (host, shown) => {
  const { axes, runs } = content.curves;
  const there = axes.map((quantity, place) => ({ quantity, place })).filter(({ place }) => shown.some((i) => runs[i].lines[place]));
  const last = (i, place) => (runs[i].lines[place] ? brief(runs[i].lines[place].y.at(-1)) : '–');
  const warnings = shown.flatMap((i) => runs[i].warnings.map(([step, text]) => el('li', {}, `${runs[i].run}, step ${step}: ${text}`)));
  host.replaceChildren(el('h3', {}, 'Last values'), wide('Last values', el('table', { class: 'sheet' },
    el('caption', { class: 'unseen' }, 'Last logged value of each quantity'),
    el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, 'Quantity'), shown.map((i) => el('th', { scope: 'col', class: 'n' }, runs[i].run)))),
    el('tbody', {}, there.map(({ quantity, place }) => el('tr', {}, el('th', { scope: 'row', title: quantity.meaning }, `${quantity.title}${quantity.unit ? ` (${quantity.unit})` : ''}`),
      shown.map((i) => el('td', { class: 'n' }, last(i, place)))))))));
  if (warnings.length) host.append(el('h3', {}, 'Warnings'), el('ul', {}, warnings));
};
