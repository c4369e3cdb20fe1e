// Compare: one column of a table of the paper as a chart, printed values and those of the same protocol on one scale.

const COMPARED = 40;

const comparePaper = (host, chart) => {
  const lines = chart.lines.filter((line) => !line.other);
  const places = chart.heads.map((_, place) => place).filter((place) => lines.some((line) => line.kind === 'measured' && line.cells[place]));
  if (!places.length) return;
  const drawn = el('div');
  const column = choice(places.map((place) => [String(place), chart.heads[place].heading]), String(places[0]), (value) => draw(Number(value)));
  const details = el('details', {}, el('summary', {}, 'Chart: printed and measured'), el('div', { class: 'tools' }, labelled('Column', column)), drawn);
  const draw = (place) => {
    drawn.replaceChildren();
    const head = chart.heads[place];
    const points = lines.filter((line) => line.cells[place]).map((line) => ({ label: line.label, cell: line.cells[place], printed: line.kind === 'published', protocol: line.protocol }));
    points.sort((a, b) => (head.lower ? a.cell.v - b.cell.v : b.cell.v - a.cell.v));
    const shown = points.filter((point, i) => i < COMPARED || !point.printed).slice(0, COMPARED * 2);
    shown.forEach((point, i) => { point.y = String(i); });
    const { names, margin } = labels(shown.map((point) => point.label), Math.min(drawn.clientWidth * 0.42, 300));
    const ends = shown.flatMap(({ cell }) => [cell.v, cell.lo ?? cell.v, cell.hi ?? cell.v]);
    const plot = Plot.plot({
      width: drawn.clientWidth,
      height: shown.length * 20 + 56,
      marginLeft: margin,
      marginRight: 44,
      marginBottom: 34,
      x: { domain: niceDomain(ends), grid: true, label: unitWords(head), labelArrow: 'none' },
      y: { domain: shown.map((point) => point.y), label: null, tickSize: 0, tickFormat: (key) => names[Number(key)] },
      marks: [
        ...whiskers(shown, 'var(--own)', 2, { y: 'y' }),
        Plot.dot(shown.filter((point) => point.printed), { y: 'y', x: (d) => d.cell.v, r: 4.5, fill: 'var(--card)', stroke: 'var(--printed)', strokeWidth: 2 }),
        Plot.dot(shown.filter((point) => !point.printed), { y: 'y', x: (d) => d.cell.v, r: 4.5, fill: 'var(--own)', fillOpacity: (d) => (d.cell.apart ? 0.35 : 1), stroke: 'var(--own)' }),
        Plot.tip(shown, Plot.pointerY({ y: 'y', x: (d) => d.cell.v, title: (d) => `${d.printed ? 'Printed' : 'Measured'} · ${d.protocol}\n${cellTitle(d.label, head, d.cell)}` })),
      ],
    });
    const left = points.length - shown.length;
    figure(drawn, plot, `${head.heading}.`, `Hollow: printed in the paper; filled: measured here${whiskerWords(shown.filter((point) => !point.printed).map((point) => point.cell)).map((words) => `; ${words}`).join('')}${left ? `; ${left} further lines are in the table` : ''}.`);
  };
  details.addEventListener('toggle', () => {
    if (details.open && !drawn.children.length) draw(places[0]);
  });
  host.replaceChildren(details);
};
