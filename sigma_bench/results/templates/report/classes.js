// Classes: accuracy of every class with its interval, of one measurement or of two side by side; what is taken for what.

const MOST_CLASSES = 40;
const MATRIX = 24;

const measurementName = (one) => `${systemOf(one.row)}, seed ${rows.get('seed', one.row)}`;

const classesPart = (host) => {
  const found = content.classes.filter((one) => rows.has(one.row));
  if (!found.length) {
    host.replaceChildren(el('p', { class: 'banner' }, 'No classes: no measurement on this page has records of single samples with labels and predictions.'));
    return;
  }
  const groups = new Map();
  for (const one of found) {
    const key = `${rows.get('data', one.row)} · ${rows.get('task', one.row)} · ${protocolOf(one.row)}`;
    groups.set(key, [...(groups.get(key) || []), one]);
  }
  const tools = el('div', { class: 'tools' });
  const body = el('div');
  const keys = [...groups.keys()];
  const now = { key: keys[0], a: 0, b: -1 };
  const draw = () => {
    const group = groups.get(now.key);
    const names = group.map(measurementName);
    const options = names.map((name, i) => [String(i), names.indexOf(name) === i ? name : `${name} (${rows.get('id', group[i].row)})`]);
    tools.replaceChildren(
      labelled('Data, task, protocol', choice(keys.map((key) => [key, key]), now.key, (key) => { Object.assign(now, { key, a: 0, b: -1 }); draw(); })),
      labelled('Measurement', choice(options, String(now.a), (value) => { now.a = Number(value); draw(); })),
      labelled('Beside it', choice([['-1', 'none'], ...options], String(now.b), (value) => { now.b = Number(value); draw(); })));
    body.replaceChildren();
    drawClasses(body, group[now.a], now.b < 0 || now.b === now.a ? null : group[now.b]);
  };
  host.replaceChildren(tools, body);
  draw();
};

const classLines = (a, b) => {
  const other = b ? new Map(b.names.map((name, i) => [name, i])) : null;
  return a.names.map((name, i) => {
    const j = other ? other.get(name) : undefined;
    return { name, n: a.n[i], right: a.right[i], low: a.low[i], high: a.high[i], b: j === undefined || !b.n[j] ? null : b.right[j] };
  }).filter((line) => line.n > 0);
};

const drawClasses = (host, a, b) => {
  const lines = classLines(a, b).sort((x, y) => y.right - x.right);
  const chart = el('div', { class: 'chart' });
  const table = el('div');
  const matrix = el('div');
  host.append(el('p', {}, opener(a.row, headlineOf(a.row)), ` ${valueOf(a.row)}`, ...(b ? [' beside ', opener(b.row, systemOf(b.row)), ` ${valueOf(b.row)}`] : [])), chart, table, matrix);
  classChart(chart, lines, b ? systemOf(b.row) : null);
  table.append(el('h3', {}, 'All classes'));
  const columns = [
    { id: 'name', head: 'Class', value: (line) => line.name },
    { id: 'n', head: 'Samples', numeric: true, value: (line) => line.n },
    { id: 'right', head: 'Accuracy %', numeric: true, value: (line) => line.right, text: (line) => number(line.right, 1) },
    { id: 'interval', head: '95 % interval', value: (line) => `[${number(line.low, 1)}, ${number(line.high, 1)}]` },
  ];
  if (b) {
    columns.push({ id: 'b', head: 'Beside it %', numeric: true, value: (line) => line.b, text: (line) => number(line.b, 1) });
    columns.push({ id: 'difference', head: 'Difference', numeric: true, value: (line) => (line.b === null ? null : line.right - line.b), text: (line) => (line.b === null ? '' : number(line.right - line.b, 1)) });
  }
  const holder = el('div');
  table.append(holder);
  grid(holder, { caption: 'Accuracy of each class', columns, data: lines, page: 25, searched: 'Classes', sorting: [{ id: 'right', desc: false }] });
  confusion(matrix, a);
};

const classChart = (host, lines, beside) => {
  const half = MOST_CLASSES / 2;
  const many = lines.length > MOST_CLASSES;
  const shown = many ? [...lines.slice(0, half), ...lines.slice(-half)] : lines;
  shown.forEach((line, i) => { line.y = String(i); });
  const { names, margin } = labels(shown.map((line) => line.name), Math.min(host.clientWidth * 0.4, 240));
  const plot = Plot.plot({
    width: Math.min(host.clientWidth - 28, 900),
    height: shown.length * 18 + 50,
    marginLeft: margin,
    marginRight: 16,
    marginBottom: 34,
    x: { domain: [0, 100], grid: true, label: 'accuracy, percent', labelArrow: 'none' },
    y: { domain: shown.map((line) => line.y), label: null, tickSize: 0, tickFormat: (key) => names[Number(key)] },
    marks: [
      Plot.ruleY(shown, { y: 'y', x1: 'low', x2: 'high', stroke: 'var(--own)', strokeOpacity: 0.55, strokeWidth: 2 }),
      Plot.dot(shown, { y: 'y', x: 'right', r: 4, fill: 'var(--own)' }),
      Plot.dot(shown.filter((line) => line.b !== null), { y: 'y', x: 'b', r: 4.5, stroke: 'var(--printed)', strokeWidth: 2 }),
      ...(many ? [Plot.ruleY([String(half)], { y: (d) => d, dy: -9, stroke: 'var(--quiet)', strokeDasharray: '4 3' })] : []),
      Plot.tip(shown, Plot.pointerY({ y: 'y', x: 'right', title: (line) => `${line.name}\n${number(line.right, 1)} % of ${line.n}\n95 % interval: ${number(line.low, 1)} to ${number(line.high, 1)}${line.b === null ? '' : `\nbeside it: ${number(line.b, 1)} %`}` })),
    ],
  });
  const words = ['Dots: accuracy; whiskers: 95 % interval (Wilson) over the samples of the class'];
  if (beside) words.push(`rings: ${beside}`);
  if (many) words.push(`the best ${half} and the worst ${half} of ${lines.length}; all are in the table`);
  figure(host, plot, 'Accuracy of each class.', `${words.join('; ')}.`);
};

// The classes that are mixed up most, as many as a matrix of them can be read.
const mixedUp = (one) => {
  const wrong = one.names.map(() => 0);
  for (const [truth, taken, count] of one.pairs) {
    wrong[truth] += count;
    wrong[taken] += count;
  }
  const places = one.names.map((_, i) => i);
  if (places.length <= MATRIX) return places;
  return places.sort((i, j) => wrong[j] - wrong[i]).slice(0, MATRIX).sort((i, j) => i - j);
};

const confusion = (host, one) => {
  const places = mixedUp(one);
  const counts = new Map(one.pairs.map(([truth, taken, count]) => [`${truth} ${taken}`, count]));
  const part = places.length < one.names.length;
  host.append(el('h3', {}, part ? `Confusion of the ${places.length} classes mixed up most` : 'Confusion'),
    el('p', { class: 'caption' }, `Lines: the true class; columns: what it is taken for by the first prediction of each sample; numbers: samples, the darker the larger the share of the line.${part ? ' Others are left out.' : ''}`));
  const cell = (truth, taken) => {
    const count = truth === taken ? one.hits[truth] : counts.get(`${truth} ${taken}`) || 0;
    const share = one.n[truth] ? count / one.n[truth] : 0;
    const shade = count ? Math.round(8 + 62 * share) : 0;
    const colour = truth === taken ? 'var(--right)' : 'var(--wrong)';
    const style = shade ? `background:color-mix(in srgb, ${colour} ${shade}%, transparent)` : null;
    return el('td', { class: shade > 45 ? 'n strong' : 'n', style }, count ? String(count) : '·');
  };
  host.append(wide('Confusion of classes', el('table', { class: 'matrix' },
    el('caption', { class: 'unseen' }, 'Confusion of classes'),
    el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, 'True class'), places.map((taken) => el('th', { scope: 'col', title: one.names[taken] }, el('span', {}, shortened(one.names[taken], 18)))))),
    el('tbody', {}, places.map((truth) => el('tr', {}, el('th', { scope: 'row', title: one.names[truth] }, shortened(one.names[truth], 24)), places.map((taken) => cell(truth, taken))))))));
  if (!one.pairs.length) return;
  const holder = el('div');
  host.append(el('h3', {}, 'Most frequent confusions'), holder);
  grid(holder, {
    caption: 'Most frequent confusions', page: 15, searched: 'Classes', data: one.pairs, sorting: [{ id: 'count', desc: true }],
    columns: [
      { id: 'truth', head: 'True class', value: ([truth]) => one.names[truth] },
      { id: 'taken', head: 'Taken for', value: ([, taken]) => one.names[taken] },
      { id: 'count', head: 'Samples', numeric: true, value: ([, , count]) => count },
      { id: 'share', head: 'Of the class %', numeric: true, value: ([truth, , count]) => (one.n[truth] ? (100 * count) / one.n[truth] : 0), text: ([truth, , count]) => number(one.n[truth] ? (100 * count) / one.n[truth] : 0, 1) },
    ],
  });
  if (one.pairs_left_out) host.append(el('p', { class: 'quiet' }, `${one.pairs_left_out} rarer pairs are left out.`));
};
