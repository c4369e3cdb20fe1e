// Provenance: where a value comes from, in a dialog: every column of its rows, and the command that measures it again.

const GROUPS = [
  ['Value', ['metric', 'value', 'value_missing_wrong', 'interval_low', 'interval_high', 'interval', 'seed', 'status', 'error', 'marks']],
  ['Samples', ['n_expected', 'n_present', 'n_decoded', 'limit', 'data']],
  ['What was measured', ['system', 'method', 'variant', 'backbone', 'pretrain_data', 'epochs', 'step', 'steps', 'extra_data',
    'motion_guidance', 'frames', 'params_m']],
  ['Weights', ['checkpoint_sha256', 'source', 'family', 'family_guessed']],
  ['Protocol', ['suite', 'task', 'task_version', 'evaluator', 'profile', 'views', 'settings_sha256', 'selection']],
  ['Lists', ['train_count', 'train_sha256', 'train_present', 'test_count', 'test_sha256']],
  ['Machine and versions', ['measured_at', 'seconds', 'device', 'precision', 'decoder', 'decoder_version', 'package_version',
    'git_commit', 'torch_version', 'schema_version']],
  ['Files', ['artifacts']],
];

const plain = (value) => {
  if (value === null || value === undefined || value === '') return '–';
  if (typeof value === 'string') return value;
  if (Array.isArray(value) && value.every((one) => typeof one === 'string')) return value.length ? value.join('\n') : '–';
  if (typeof value === 'object') return Object.keys(value).length ? JSON.stringify(value, null, 1) : '–';
  return String(value);
};

const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replace(/'/g, "'\\''")}'`);

const ODD = /[^\x20-\x7e\u00a1-\u1fff\u2030-\u205e\u2070-\ud7ff\uf900-\ufdff]/;

// What --ckpt takes to find the weights of a row; null where only their hash is known.
const weightsOf = (i) => {
  const known = content.weights[rows.get('checkpoint_sha256', i)];
  const system = rows.get('system', i);
  const found = known || rows.get('source', i) || (/^(random|timm|hf):/.test(system) || system.includes('/') ? system : '');
  return found && !ODD.test(found) && !found.startsWith('-') ? found : null;
};

const commandOf = (i) => {
  const get = (name) => rows.get(name, i);
  const parts = ['sigma-bench eval', `--task ${quoted(`${content.folder}/settings/${get('settings_sha256')}.yaml`)}`];
  parts.push(`--data ${get('data') === 'miniature' ? 'miniature' : 'official'}`, `--ckpt ${quoted(weightsOf(i) || 'FILE')}`);
  for (const mark of get('marks')) {
    const read = /^read with (heads|frames|image_size|positions|weights) ([\w.]+)$/.exec(mark);
    if (read) parts.push(`--${read[1].replace('_', '-')} ${read[2]}`);
  }
  if (get('seed') > 0) parts.push(`--seeds ${get('seed') + 1}`);
  if (get('limit') !== null) parts.push(`--limit ${get('limit')}`);
  if (get('precision') && get('precision') !== 'fp32') parts.push(`--precision ${quoted(get('precision'))}`);
  return [...parts, '--results again/rows'].join(' \\\n  ');
};

const copier = (text) => el('button', {
  type: 'button',
  class: 'small',
  onclick: async (event) => {
    const button = event.currentTarget;
    try {
      await navigator.clipboard.writeText(text());
      button.textContent = 'Copied';
    } catch {
      getSelection().selectAllChildren(button.previousElementSibling);
      button.textContent = 'Selected: copy with your keys';
    }
    say(button.textContent);
  },
}, 'Copy');

const facts = (title, pairs) => el('table', { class: 'facts' }, el('caption', {}, title), el('tbody', {}, pairs.map(([name, meaning, value]) =>
  el('tr', {}, el('th', { scope: 'row' }, name, meaning ? el('span', { class: 'meaning' }, meaning) : null),
    el('td', {}, el('span', { class: 'fact' }, plain(value)))))));

const wholeRow = (i) => {
  const meanings = Object.fromEntries(content.columns);
  const grouped = new Set(GROUPS.flatMap(([, names]) => names));
  const groups = [...GROUPS, ['Further columns', rows.names.filter((name) => !grouped.has(name) && name !== 'id')]];
  return groups.map(([title, names]) => {
    const there = names.filter((name) => rows.names.includes(name));
    return there.length ? facts(title, there.map((name) => [name, meanings[name], rows.get(name, i)])) : null;
  });
};

const again = (i) => {
  const found = weightsOf(i);
  const command = commandOf(i);
  const seeds = rows.get('seed', i) > 0 ? ` It measures the seeds 0 to ${rows.get('seed', i)}.` : '';
  const file = found ? '' : ' FILE is the file of these weights, which the row does not name.';
  return el('section', { class: 'again' }, el('h3', {}, 'Measure again'), el('pre', { tabindex: '0' }, el('code', {}, command)), copier(() => command),
    el('p', { class: 'quiet' }, `The weights are those whose SHA-256 begins with ${rows.get('checkpoint_sha256', i).slice(0, 16)}.${file}${seeds} `
      + `Whole rows: sigma-bench results show ${rows.get('id', i)} --results ${quoted(content.folder)}`));
};

const headlineOf = (i) => `${systemOf(i)}: ${rows.get('task', i)}, ${rows.get('metric', i)}`;

const valueOf = (i) => {
  const value = rows.get('value', i);
  return value === null ? 'failed' : `${number(value, decimalsOf(rows.get('metric', i)))} ${intervalOf(i)}`.trim();
};

const fillRow = (host, i) => {
  host.replaceChildren(
    el('p', { class: 'value' }, valueOf(i), ' ', el('span', { class: `badge ${rows.get('data', i)}` }, rows.get('data', i)), ' ',
      el('span', { class: `badge ${rows.get('status', i)}` }, rows.get('status', i))),
    ...[again(i), ...wholeRow(i)].filter(Boolean));
};

const dialogOf = (title, ...body) => {
  const dialog = document.getElementById('provenance');
  const meanings = el('input', { type: 'checkbox', id: 'meanings' });
  meanings.addEventListener('change', () => dialog.classList.toggle('explained', meanings.checked));
  dialog.classList.remove('explained');
  dialog.replaceChildren(
    el('div', { class: 'dialog-head' }, el('h2', { id: 'provenance-h', tabindex: '-1' }, title),
      el('button', { type: 'button', class: 'close', 'aria-label': 'Close', onclick: () => dialog.close() }, '✕')),
    el('div', { class: 'dialog-body' }, el('div', { class: 'check' }, meanings, el('label', { for: 'meanings' }, 'Say what each column means')), ...body));
  if (!dialog.open) dialog.showModal();
  dialog.querySelector('.dialog-body').scrollTop = 0;
  document.getElementById('provenance-h').focus();
  return dialog;
};

const showRows = (numbers) => {
  const there = numbers.filter(rows.has);
  if (!there.length) {
    dialogOf('Left out', el('p', {}, `Too many rows for one page: these are in ${content.folder}; sigma-bench results list shows them.`));
    return;
  }
  const host = el('div', { 'aria-live': 'polite' });
  const parts = [host];
  if (there.length > 1) {
    const pick = choice(there.map((i) => [String(i), `${rows.get('task', i)}, seed ${rows.get('seed', i)}, weights ${rows.get('checkpoint_sha256', i).slice(0, 8)}: ${valueOf(i)}`]),
      String(there[0]), (value) => fillRow(host, Number(value)));
    parts.unshift(labelled(`One of the ${there.length} rows behind it`, pick));
  }
  fillRow(host, there[0]);
  dialogOf(headlineOf(there[0]), ...parts);
};

const showPrinted = (place) => {
  const value = content.printed[place];
  const where = /^T/.test(value.table) ? `table ${value.table.slice(1)} of the SIGMA paper` : `the released model card (${value.table})`;
  dialogOf(`${value.method}: ${value.task}, ${value.metric}`,
    el('p', { class: 'value' }, `${value.value} ${value.unit === '%' ? '%' : ''} `, el('span', { class: 'badge' }, 'printed')),
    el('p', {}, `Printed in ${where}, row ${value.row_order}. It was not measured here.`),
    facts('As printed', Object.entries(value).map(([name, one]) => [name, '', one])));
};

const startProvenance = () => {
  for (const button of document.querySelectorAll('button[data-b], button[data-p]')) {
    button.type = 'button';
    button.setAttribute('aria-haspopup', 'dialog');
  }
  document.addEventListener('click', (event) => {
    const button = event.target.closest('button[data-b], button[data-p]');
    if (!button) return;
    if (button.dataset.b) showRows(button.dataset.b.split(' ').map(Number));
    else showPrinted(Number(button.dataset.p));
  });
  const dialog = document.getElementById('provenance');
  dialog.addEventListener('click', (event) => {
    if (event.target === dialog) dialog.close();
  });
};
