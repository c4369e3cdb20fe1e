// Explorer: all rows, one kind of data at a time; failed measurements; failed samples.

const opener = (i, text) => el('button', { type: 'button', 'aria-haspopup': 'dialog', 'data-b': String(i), title: text.length > LONGEST_NAME ? text : null }, ...breakable(shortened(text, LONGEST_NAME)));

const allOf = (test) => {
  const found = [];
  for (let i = 0; i < rows.count; i++) if (test(i)) found.push(i);
  return found;
};

const rowColumns = () => [
  { id: 'system', head: 'System', value: systemOf, node: (i) => opener(i, systemOf(i)) },
  { id: 'task', head: 'Task', value: (i) => rows.get('task', i), filter: true },
  { id: 'metric', head: 'Metric', value: (i) => rows.get('metric', i), filter: true },
  {
    id: 'value', head: 'Value', numeric: true, value: (i) => rows.get('value', i),
    text: (i) => (rows.get('value', i) === null ? 'failed' : number(rows.get('value', i), decimalsOf(rows.get('metric', i)))),
  },
  { id: 'interval', head: '95 % interval', value: intervalOf },
  { id: 'seed', head: 'Seed', numeric: true, first: 'ascending', value: (i) => rows.get('seed', i) },
  {
    id: 'n', head: 'Samples', numeric: true, value: (i) => rows.get('n_decoded', i),
    text: (i) => (rows.get('n_decoded', i) === rows.get('n_expected', i) ? String(rows.get('n_decoded', i)) : `${rows.get('n_decoded', i)} of ${rows.get('n_expected', i)}`),
  },
  { id: 'status', head: 'Status', value: (i) => rows.get('status', i), filter: true },
  { id: 'suite', head: 'Suite', value: (i) => rows.get('suite', i), filter: true },
  { id: 'protocol', head: 'Protocol', value: protocolOf, filter: true },
  { id: 'when', head: 'When (UTC)', value: (i) => rows.get('measured_at', i), text: (i) => rows.get('measured_at', i).slice(0, 16).replace('T', ' ') },
];

const explorer = (host) => {
  const kinds = Object.keys(DATA_TITLES).filter((kind) => allOf((i) => rows.get('data', i) === kind).length);
  if (!kinds.length) {
    host.replaceChildren(el('p', { class: 'banner' }, 'There are no rows.'));
    return;
  }
  const table = el('div');
  const title = el('h3');
  const draw = (kind) => {
    title.textContent = DATA_TITLES[kind];
    grid(table, {
      caption: `Rows of ${kind} data`, columns: rowColumns(), data: allOf((i) => rows.get('data', i) === kind), sorting: [{ id: 'when', desc: true }],
      before: [labelled('Data', choice(kinds.map((one) => [one, one]), kind, draw))],
    });
  };
  host.replaceChildren(title, table);
  draw(kinds[0]);
};

const failedRows = (host) => {
  const failed = allOf((i) => rows.get('status', i) === 'failed');
  if (!failed.length) return;
  grid(host, {
    caption: 'Measurements without a value', data: failed, sorting: [{ id: 'when', desc: true }],
    columns: [
      { id: 'system', head: 'System', value: systemOf, node: (i) => opener(i, systemOf(i)) },
      { id: 'reason', head: 'Reason', words: true, value: (i) => firstLine(rows.get('error', i)) || 'no reason given' },
      { id: 'task', head: 'Task', value: (i) => rows.get('task', i), filter: true },
      { id: 'data', head: 'Data', value: (i) => rows.get('data', i), filter: true },
      { id: 'when', head: 'When (UTC)', value: (i) => rows.get('measured_at', i), text: (i) => rows.get('measured_at', i).slice(0, 16).replace('T', ' ') },
    ],
  });
};

const failedSamples = (host) => {
  if (!content.failed.length) return;
  grid(host, {
    caption: 'Samples that failed', data: content.failed,
    columns: [
      { id: 'id', head: 'Sample', value: (one) => one.id },
      { id: 'reason', head: 'Reason', words: true, value: (one) => one.reason, filter: true },
      { id: 'task', head: 'Task', value: (one) => one.task, filter: true },
      { id: 'data', head: 'Data', value: (one) => one.data, filter: true },
      {
        id: 'rows', head: 'Measurements', numeric: true, value: (one) => one.rows.length,
        node: (one) => el('button', { type: 'button', 'aria-haspopup': 'dialog', 'data-b': one.rows.join(' ') }, String(one.rows.length)),
      },
    ],
  });
};
