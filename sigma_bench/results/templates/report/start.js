// Start: the suites of each kind of data, and the order in which everything begins.

const suiteStates = new Map();

const drawSuite = (suite, found) => {
  const host = suite.querySelector('[data-charts]');
  suiteCharts(host, content.charts[host.dataset.charts], found);
};

const showSuite = (view, name) => {
  const state = suiteStates.get(view.id);
  state.suite = name;
  if (state.select) state.select.value = name;
  for (const suite of view.querySelectorAll('.suite')) suite.hidden = suite.dataset.suite !== name;
  drawSuite([...view.querySelectorAll('.suite')].find((one) => one.dataset.suite === name), state.found);
};

const startKind = (view) => {
  const suites = [...view.querySelectorAll('.suite')];
  const state = { suite: suites[0].dataset.suite, found: [], select: null };
  suiteStates.set(view.id, state);
  const tools = view.querySelector('[data-tools]');
  if (suites.length > 1) {
    state.select = choice(suites.map((one) => [one.dataset.suite, one.dataset.suite]), state.suite, (name) => showSuite(view, name));
    tools.append(labelled('Suite', state.select));
  }
  tools.append(labelled('Systems', search('part of a name', (found) => {
    state.found = found;
    filterTables(view, found, '');
    drawSuite(suites.find((one) => one.dataset.suite === state.suite), found);
  })));
  tools.hidden = false;
  onView(view.id, () => showSuite(view, state.suite));
};

const start = async () => {
  startTheme();
  [rows, content] = await Promise.all([unpack('packed-rows'), unpack('packed-content')]);
  rows = rowsOf(rows);
  startProvenance();
  startTables();
  toolsOfPaper();
  for (const kind of Object.keys(DATA_TITLES)) {
    const view = document.getElementById(kind);
    if (view) startKind(view);
  }
  onView('paper', (view) => {
    for (const host of view.querySelectorAll('[data-compare]')) comparePaper(host, content.charts[host.dataset.compare]);
  });
  const part = (name) => document.querySelector(`[data-part="${name}"]`);
  onView('classes', () => classesPart(part('classes')));
  onView('curves', () => curvesPart(part('curves')));
  onView('failures', () => { failedRows(part('failed-rows')); failedSamples(part('failed-samples')); }, false);
  onView('rows', () => explorer(part('rows')), false);
  startViews();
  document.documentElement.dataset.ready = 'yes';
};

start().catch((error) => {
  document.getElementById('trouble').append(el('p', { class: 'banner' }, typeof DecompressionStream === 'undefined'
    ? 'This browser is too old for the charts and the list of rows (it cannot decompress); the tables are complete.'
    : `The page could not be set up: ${error.message}. The tables are complete.`));
  throw error;
});
