// Elements: made of names and texts alone, never of HTML in a string, so that no text of a row becomes markup.

// Characters that turn the direction of what follows, or steer a terminal, are spelled out.
const STEERING = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
const LONGEST_NAME = 75;
const visible = (text) => String(text).replace(STEERING, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`);

// A long name with places at which a line may break.
const breakable = (text) => visible(text).match(/[^/_.,:;=-]{0,24}[/_.,:;=-]*/g).filter(Boolean).flatMap((part, i) => (i ? [document.createElement('wbr'), part] : [part]));

const el = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? '' : visible(value));
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined).map((child) => (child instanceof Node ? child : visible(child))));
  return node;
};

// Says something to those who do not see the page change.
const say = (text) => {
  document.getElementById('said').textContent = text;
};

const later = (call, wait = 150) => {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => call(...given), wait);
  };
};

// How wide a text of a chart is, in pixels, and what of it fits.
const widthOf = (text) => {
  if (!widthOf.context) {
    widthOf.context = document.createElement('canvas').getContext('2d');
    widthOf.context.font = `11.5px ${getComputedStyle(document.body).fontFamily}`;
  }
  return widthOf.context.measureText(text).width;
};

const fitted = (text, room) => {
  let letters = Array.from(text).length;
  let shown = shortened(text, letters);
  while (letters > 4 && widthOf(shown) > room) {
    letters = Math.min(letters - 1, Math.ceil((letters * room) / widthOf(shown)));
    shown = shortened(text, letters);
  }
  return shown;
};

// Texts cut to `room` pixels, and the margin that they need.
const labels = (texts, room) => {
  const names = texts.map((text) => fitted(text, room));
  return { names, margin: Math.max(...names.map(widthOf)) + 10 };
};

let fields = 0;

// A control with its label; `control` is an input or a select.
const labelled = (text, control) => {
  control.id = control.id || `field-${++fields}`;
  return el('div', { class: 'field' }, el('label', { for: control.id }, text), control);
};

const choice = (options, chosen, onchange) => {
  const select = el('select', {}, options.map(([value, text]) => el('option', { value, selected: value === chosen }, text)));
  select.addEventListener('change', () => onchange(select.value));
  return select;
};

const search = (placeholder, oninput) => {
  const input = el('input', { type: 'search', placeholder, autocomplete: 'off', spellcheck: 'false' });
  input.addEventListener('input', later(() => oninput(terms(input.value))));
  return input;
};

// Words that are sought, all of them, upper and lower case alike.
const terms = (text) => text.toLowerCase().split(/\s+/).filter(Boolean);

const wide = (label, ...children) => el('div', { class: 'wide', role: 'region', tabindex: '0', 'aria-label': label }, ...children);
