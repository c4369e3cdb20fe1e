// Tables: those that stand in the page are sorted within their blocks, and their lines filtered.

const KIND = 'kind';

const staticTables = new Map();

const linesOf = (sheet) => {
  const lines = [];
  for (const body of sheet.tBodies) {
    for (const tr of body.rows) {
      if (tr.classList.contains('block')) continue;
      const values = [];
      for (const cell of tr.cells) {
        const value = cell.dataset.v === undefined ? cell.textContent.trim() : Number(cell.dataset.v);
        for (let i = 0; i < cell.colSpan; i++) values.push(cell.classList.contains('reason') || value === '–' ? undefined : value);
        // words in a column of numbers stand behind all of them
        if (cell.classList.contains('n') && cell.dataset.v === undefined) values[values.length - 1] = undefined;
      }
      lines.push({ tr, body, values, kind: tr.className, text: `${tr.textContent} ${tr.cells[0].title}`.toLowerCase() });
    }
  }
  return lines;
};

const drawStatic = (sheet) => (table) => {
  const { rows: kept } = table.getRowModel();
  for (const { original } of table.getCoreRowModel().rows) original.tr.hidden = true;
  for (const { original } of kept) {
    original.tr.hidden = false;
    original.body.append(original.tr); // so lines are sorted within the parts of a table
  }
  for (const body of sheet.tBodies) body.hidden = ![...body.rows].some((tr) => !tr.hidden && !tr.classList.contains('block'));
  const sorted = table.getState().sorting;
  for (const th of sheet.querySelectorAll('thead th[data-s]')) markSorted(th, sorted.find((one) => one.id === th.dataset.s));
};

const startTables = () => {
  for (const sheet of document.querySelectorAll('table[data-table]')) {
    const headings = [...sheet.querySelectorAll('thead th[data-s]')];
    const columns = headings.map((th) => ({ id: th.dataset.s, accessorFn: (line) => line.values[Number(th.dataset.s)], sortingFn: byValue, sortUndefined: 'last' }));
    columns.push({ id: ALL, accessorFn: (line) => line.text, filterFn: hasTerms });
    columns.push({ id: KIND, accessorFn: (line) => line.kind, filterFn: isOne });
    const table = tableOf(linesOf(sheet), columns, { pagination: { pageIndex: 0, pageSize: 1e6 } }, drawStatic(sheet));
    staticTables.set(sheet.dataset.table, table);
    for (const th of headings) {
      const name = th.textContent;
      const descending = th.classList.contains('n') && th.dataset.lower === undefined;
      th.replaceChildren(sorter([...th.childNodes], () => {
        const found = turn(table, th.dataset.s, descending);
        say(found ? `Sorted by ${name}, ${found.desc ? 'descending' : 'ascending'}, within the parts of the table` : 'In the order of the table');
      }));
    }
  }
};

const filterTables = (view, found, kind) => {
  for (const sheet of view.querySelectorAll('table[data-table]')) {
    const filters = [];
    if (found.length) filters.push({ id: ALL, value: found });
    if (kind) filters.push({ id: KIND, value: kind });
    staticTables.get(sheet.dataset.table).setColumnFilters(filters);
    const none = filters.length && !sheet.querySelector('tbody:not([hidden]) tr');
    sheet.closest('.one').classList.toggle('none', Boolean(none));
  }
};

const toolsOfPaper = () => {
  const view = document.getElementById('paper');
  const tools = view.querySelector('[data-tools]');
  const now = { found: [], kind: '' };
  const apply = () => filterTables(view, now.found, now.kind);
  tools.append(labelled('Lines with', search('SIGMA ViT-B', (found) => { now.found = found; apply(); })),
    labelled('Lines', choice([['', 'all'], ['published', 'printed'], ['measured', 'measured'], ['missing', 'not measured, with the reason']], '', (kind) => { now.kind = kind; apply(); })));
  if (view.querySelector('.one.has')) {
    tools.append(labelled('Tables', choice([['', 'all'], ['has', 'with measurements']], '', (kind) => view.classList.toggle('only-has', kind === 'has'))));
  }
  tools.hidden = false;
};
