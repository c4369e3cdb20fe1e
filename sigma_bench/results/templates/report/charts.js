// Charts of a suite, each protocol apart: every system over all tasks, and every task over its systems.

const PANELS = 8;
const BARS = 12;
const CONTEXT = 60;

// A whisker is an interval over samples or a deviation over measurements; the caption says which are there.
const whiskerWords = (cells) => {
  const kinds = new Set(cells.map((cell) => cell.w).filter(Boolean));
  const words = [];
  if (kinds.has('i')) words.push('solid whiskers: 95 % interval');
  if (kinds.has('d')) words.push('dashed whiskers: ± standard deviation over n measurements');
  if (!kinds.size) words.push('no interval is known');
  return words;
};

const unitWords = (head) => `${{ '%': 'percent', ratio: 'ratio', count: 'count' }[head.unit]}${head.lower ? ', lower is better' : ''}`;

const cellTitle = (label, head, cell) => visible([
  label,
  `${head.heading}: ${number(cell.v, cell.d)}${cell.n ? ` (n = ${cell.n})` : ''}`,
  cell.w ? `${cell.w === 'i' ? '95 % interval' : '± standard deviation'}: ${number(cell.lo, cell.d)} to ${number(cell.hi, cell.d)}` : 'no interval is known',
  cell.p !== undefined ? `printed: ${number(cell.p, cell.d)}` : null,
  cell.apart ? 'limited, or of other lists: stands apart' : null,
].filter(Boolean).join('\n'));

const figure = (host, plot, title, words) => {
  for (const part of plot.querySelectorAll('[aria-label]')) part.removeAttribute('aria-label'); // a group without a role has no name
  plot.setAttribute('role', 'img');
  plot.setAttribute('aria-label', visible(`${title} ${words || ''}`));
  const made = el('figure', {}, el('figcaption', {}, el('b', {}, title), words ? ` ${words}` : ''), el('div', { class: 'plot' }, plot));
  plot.addEventListener('click', () => {
    const { cell, printed } = plot.value || {};
    if (!cell || !cell.b.length) return;
    if (printed) showPrinted(cell.b[0]);
    else showRows(cell.b);
  });
  host.append(made);
  return made;
};

const whiskers = (points, stroke, width, rest) => ['i', 'd'].map((kind) => Plot.ruleY(points.filter(({ cell }) => cell.w === kind), {
  ...rest, x1: (d) => d.cell.lo, x2: (d) => d.cell.hi, stroke, strokeWidth: width, strokeDasharray: kind === 'd' ? '3 2' : null,
}));

// Of many values those at even ranks, so that a strip of them still shows how all are spread.
const spreadOver = (values) => {
  if (values.length <= CONTEXT) return values;
  const sorted = [...values].sort((a, b) => a - b);
  return Array.from({ length: CONTEXT }, (_, i) => sorted[Math.round((i * (sorted.length - 1)) / (CONTEXT - 1))]);
};

const niceDomain = (values) => {
  const [low, high] = d3.extent(values);
  const room = (high - low || Math.abs(high) || 1) * 0.06;
  return [low >= 0 ? Math.max(low - room, 0) : low - room, high + room];
};

const moreButton = (text, onclick) => el('button', { type: 'button', class: 'small more', onclick }, text);

// All charts of a suite, under a heading for each protocol: values of two protocols are never drawn together.
const suiteCharts = (host, chart, wanted) => {
  host.replaceChildren();
  const protocols = new Map();
  for (const line of chart.lines) protocols.set(line.protocol, [...(protocols.get(line.protocol) || []), line]);
  for (const [protocol, all] of protocols) {
    const lines = all.filter((line) => wanted.every((term) => `${line.label} ${protocol}`.toLowerCase().includes(term)));
    if (!lines.length) continue;
    const places = chart.heads.map((_, place) => place).filter((place) => lines.some((line) => line.cells[place]));
    const part = el('section', { class: 'protocol' });
    const [across, cards] = [el('div'), el('div')];
    part.append(el('h4', {}, `Charts, ${protocol}`), across, cards);
    host.append(part);
    if (places.length > 1) glance(across, { heads: chart.heads, places, lines, all });
    if (lines.length > 1 || places.length === 1) bars(cards, { heads: chart.heads, places, lines });
  }
};

// One panel a system: its value of every task over those of all other systems.
const glance = (host, { heads, places, lines, all }, most = PANELS) => {
  host.replaceChildren();
  const groups = new Map();
  for (const place of places) {
    const key = heads[place].unit === '%' ? '%' : heads[place].metric;
    groups.set(key, [...(groups.get(key) || []), place]);
  }
  for (const own of groups.values()) glanceOf(host, own.map((place) => ({ ...heads[place], place })), lines.slice(0, most), all);
  if (lines.length > most) host.append(moreButton(`${Math.min(PANELS, lines.length - most)} more of ${lines.length} systems`, () => glance(host, { heads, places, lines, all }, most + PANELS)));
};

const glanceOf = (host, heads, shown, all) => {
  const room = host.clientWidth - 28;
  const { names, margin: left } = labels(heads.map((head) => head.heading), Math.min(room * 0.4, 230));
  const across = Math.max(1, Math.min(shown.length, Math.floor((room - left) / 190)));
  const width = Math.min(room, left + across * 340);
  const panelRoom = ((width - left) / across) * 0.82;
  const down = Math.ceil(shown.length / across);
  const panels = shown.map((line, k) => ({ fx: k % across, fy: Math.floor(k / across), line }));
  const points = panels.flatMap(({ fx, fy, line }) => heads.map((head, i) => ({ fx, fy, y: names[i], cell: line.cells[head.place], head, label: line.label }))).filter(({ cell }) => cell);
  const context = heads.flatMap((head, i) => spreadOver(all.map((line) => line.cells[head.place]).filter(Boolean).map((cell) => cell.v))
    .flatMap((x) => panels.map(({ fx, fy }) => ({ fx, fy, x, y: names[i] }))));
  const ends = [...context.map((one) => one.x), ...points.flatMap(({ cell }) => [cell.lo ?? cell.v, cell.hi ?? cell.v])];
  const tall = heads.length * 26;
  const gap = 32;
  const at = { fx: 'fx', fy: 'fy', y: 'y' };
  const plot = Plot.plot({
    width,
    height: down * (tall + gap) + 44,
    marginLeft: left,
    marginRight: 16,
    marginTop: 22,
    marginBottom: 38,
    fx: { axis: null, padding: 0.08, domain: d3.range(across) },
    fy: { axis: null, padding: gap / (tall + gap), domain: d3.range(down) },
    x: { domain: niceDomain(ends), label: unitWords(heads[0]), ticks: 4, grid: true, labelArrow: 'none' },
    y: { domain: names, label: null, tickSize: 0 },
    marks: [
      Plot.tickX(context, { ...at, x: 'x', stroke: 'var(--faint)', inset: 5 }),
      ...whiskers(points, 'var(--own)', 2, at),
      Plot.dot(points, { ...at, x: (d) => d.cell.v, r: 4.5, fill: (d) => (d.cell.apart ? 'var(--card)' : 'var(--own)'), stroke: 'var(--own)', strokeWidth: 1.5 }),
      Plot.text(panels, { fx: 'fx', fy: 'fy', text: (d) => fitted(d.line.label, panelRoom), frameAnchor: 'top-left', dy: -12, fontWeight: 600, fontSize: 12 }),
      Plot.tip(points, Plot.pointer({ ...at, x: (d) => d.cell.v, title: (d) => cellTitle(d.label, d.head, d.cell), maxRadius: 30 })),
    ],
  });
  const words = ['Dots: the system; grey ticks: all systems', ...whiskerWords(points.map((point) => point.cell))];
  if (points.some(({ cell }) => cell.apart)) words.push('hollow dots stand apart (limited, or other lists)');
  figure(host, plot, 'Each system over all tasks.', `${words.join('; ')}. The table above has the same values.`);
};

// One card a task: its systems, the best first, as bars from zero.
const bars = (host, { heads, places, lines }, most = BARS) => {
  const cards = el('div', { class: 'cards' });
  const words = new Set();
  host.replaceChildren(cards);
  let left = 0;
  for (const place of places) {
    const points = lines.filter((line) => line.cells[place]).map((line) => ({ label: line.label, cell: line.cells[place] }));
    points.sort((a, b) => (heads[place].lower ? a.cell.v - b.cell.v : b.cell.v - a.cell.v));
    left = Math.max(left, points.length - most);
    barCard(cards, heads[place], points.slice(0, most), points.length).forEach((one) => words.add(one));
  }
  cards.before(el('p', { class: 'caption' }, `Each task over its systems, the best first; ${[...words].join('; ')}.`));
  if (left > 0) host.append(moreButton(`More systems: up to ${left} further in a chart`, () => bars(host, { heads, places, lines }, most * 3)));
};

const barCard = (cards, head, shown, total) => {
  const card = el('div', { class: 'card' });
  cards.append(card);
  const width = card.clientWidth - 24;
  const { names, margin } = labels(shown.map((one) => one.label), Math.min(width * 0.42, 220));
  const points = shown.map((one, i) => ({ ...one, y: String(i) }));
  const top = d3.max(points, ({ cell }) => Math.max(cell.v, cell.hi ?? 0, cell.p ?? 0));
  const bottom = Math.min(0, d3.min(points, ({ cell }) => Math.min(cell.v, cell.lo ?? 0)));
  const words = whiskerWords(points.map((point) => point.cell));
  if (points.some(({ cell }) => cell.p !== undefined)) words.push('orange ticks: printed value of the same system');
  if (points.some(({ cell }) => cell.apart)) words.push('pale bars stand apart (limited, or other lists)');
  const plot = Plot.plot({
    width,
    height: shown.length * 24 + 52,
    marginLeft: margin,
    marginRight: 52,
    marginTop: 6,
    marginBottom: 34,
    x: { domain: [bottom, top || 1], grid: true, ticks: 4, label: unitWords(head), labelArrow: 'none' },
    y: { domain: points.map((point) => point.y), label: null, tickFormat: (key) => names[Number(key)], tickSize: 0 },
    marks: [
      Plot.barX(points, { y: 'y', x1: 0, x2: (d) => d.cell.v, fill: 'var(--bar)', fillOpacity: (d) => (d.cell.apart ? 0.35 : 1), insetTop: 3, insetBottom: 3 }),
      ...whiskers(points, 'var(--ink)', 1.5, { y: 'y' }),
      Plot.tickX(points.filter(({ cell }) => cell.p !== undefined), { y: 'y', x: (d) => d.cell.p, stroke: 'var(--printed)', strokeWidth: 3, inset: 1 }),
      Plot.text(points, { y: 'y', frameAnchor: 'right', text: (d) => number(d.cell.v, d.cell.d), dx: 46, textAnchor: 'end', fontVariant: 'tabular-nums' }),
      Plot.ruleX([0], { stroke: 'var(--quiet)' }),
      Plot.tip(points, Plot.pointerY({ y: 'y', x: (d) => d.cell.v, title: (d) => cellTitle(d.label, head, d.cell) })),
    ],
  });
  figure(card, plot, head.heading, total > shown.length ? `the best ${shown.length} of ${total}` : '');
  return words;
};
