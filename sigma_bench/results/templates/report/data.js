// Data: what the page carries, unpacked. `rows.get(name, number)` is one column of one row.

const unpack = async (id) => {
  const node = document.getElementById(id);
  const text = atob(node.textContent.trim());
  node.remove();
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
  return JSON.parse(await new Response(stream).text());
};

const rowsOf = (packed) => {
  const readers = {};
  for (const [name, column] of Object.entries(packed.columns)) {
    const codes = column.same ? packed.columns[column.same].c : column.c;
    const values = column.v;
    if (codes) readers[name] = (i) => values[codes[i]];
    else if (values.length > 1) readers[name] = (i) => values[i];
    else readers[name] = () => values[0];
  }
  return {
    count: packed.count,
    names: Object.keys(readers),
    has: (i) => i >= 0 && i < packed.count,
    get: (name, i) => readers[name](i),
  };
};

let rows = null;
let content = null;

const DATA_TITLES = {
  official: 'Official data',
  miniature: 'Miniature: synthetic data, not comparable with the paper',
  custom: 'Custom data, not comparable with the paper',
};

const decimalsOf = (metric) => (metric.includes('error') ? 3 : 2);

const number = (value, decimals) => (value === null || value === undefined ? '' : value.toFixed(decimals));

const systemOf = (i) => {
  const variant = rows.get('variant', i);
  return rows.get('system', i) + (variant ? ` (${variant})` : '');
};

const protocolOf = (i) => {
  const profile = rows.get('profile', i);
  return rows.get('evaluator', i) + (profile ? `, ${profile}` : '');
};

const intervalOf = (i) => {
  const low = rows.get('interval_low', i);
  const high = rows.get('interval_high', i);
  if (low === null || high === null) return '';
  const decimals = decimalsOf(rows.get('metric', i));
  return `[${number(low, decimals)}, ${number(high, decimals)}]`;
};

const firstLine = (text) => {
  const line = String(text).trim().split('\n', 1)[0];
  return line.length > 200 ? `${line.slice(0, 194)} [cut]` : line;
};

// A long name is cut in its middle: its ends tell names apart.
const shortened = (text, most) => {
  const letters = Array.from(visible(text).replace(/\s+/g, ' '));
  if (letters.length <= most) return letters.join('');
  const tail = Math.ceil((most - 1) * 0.6);
  return `${letters.slice(0, most - 1 - tail).join('')}…${letters.slice(-tail).join('')}`;
};
