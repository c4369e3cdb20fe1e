// Grid: a table drawn from data, with sorting, search, filters and pages by TanStack's table-core.

const { createTable, getCoreRowModel, getSortedRowModel, getFilteredRowModel, getPaginationRowModel, getFacetedRowModel,
  getFacetedUniqueValues } = TableCore;

const ALL = '*';

const compare = (a, b) => {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return String(a).localeCompare(String(b), 'en', { numeric: true });
};

const byValue = (a, b, id) => compare(a.getValue(id), b.getValue(id));
const hasTerms = (row, id, wanted) => wanted.every((term) => row.getValue(id).includes(term));
const isOne = (row, id, wanted) => row.getValue(id) === wanted;

// A table of table-core that keeps its own state and calls `draw` when that changes.
const tableOf = (data, columns, initial, draw) => {
  const options = {
    data,
    columns,
    state: {},
    renderFallbackValue: null,
    autoResetPageIndex: false,
    onStateChange: () => {},
    getCoreRowModel: getCoreRowModel(),
    getSortedRowModel: getSortedRowModel(),
    getFilteredRowModel: getFilteredRowModel(),
    getPaginationRowModel: getPaginationRowModel(),
    getFacetedRowModel: getFacetedRowModel(),
    getFacetedUniqueValues: getFacetedUniqueValues(),
  };
  const table = createTable(options);
  let state = { ...table.initialState, ...initial };
  table.setOptions((before) => ({
    ...before,
    state,
    onStateChange: (update) => {
      state = typeof update === 'function' ? update(state) : update;
      table.setOptions((old) => ({ ...old, state }));
      draw(table);
    },
  }));
  return table;
};

// Sorting by a heading: first the better end, then the other, then as it was.
const turn = (table, id, descendingFirst) => {
  const now = table.getState().sorting.find((one) => one.id === id);
  const next = !now ? [{ id, desc: descendingFirst }] : now.desc === descendingFirst ? [{ id, desc: !descendingFirst }] : [];
  table.setSorting(next);
  return next[0];
};

const sorter = (heading, onclick) => el('button', { type: 'button', class: 'sort', onclick }, heading, el('span', { class: 'arrow', 'aria-hidden': 'true' }));

const markSorted = (th, found) => {
  if (found) th.setAttribute('aria-sort', found.desc ? 'descending' : 'ascending');
  else th.removeAttribute('aria-sort');
};

// columns: {id, head, value(row), node(row)?, text(row)?, numeric?, words? (long text), first? ('ascending'), filter?}
const grid = (host, { caption, columns, data, page = 50, searched = 'Search', sorting = [], onshow = null, before = [] }) => {
  const defined = columns.map((column) => ({
    id: column.id,
    accessorFn: (row) => {
      const value = column.value(row);
      return value === null || value === '' ? undefined : value;
    },
    sortingFn: byValue,
    sortUndefined: 'last',
    filterFn: isOne,
  }));
  const shown = (column, row) => (column.text ? column.text(row) : column.value(row) ?? '');
  defined.push({ id: ALL, accessorFn: (row) => columns.map((column) => String(shown(column, row))).join('\n').toLowerCase(), filterFn: hasTerms });
  const head = el('tr');
  const body = el('tbody');
  const status = el('p', { class: 'quiet', role: 'status' });
  const pager = el('div', { class: 'pager' });
  const draw = (table) => {
    const { pageIndex } = table.getState().pagination;
    const count = table.getFilteredRowModel().rows.length;
    const pages = Math.max(1, table.getPageCount());
    if (pageIndex >= pages) return table.setPageIndex(pages - 1);
    body.replaceChildren(...table.getRowModel().rows.map((row) => el('tr', {}, columns.map((column, place) =>
      el(place ? 'td' : 'th', { scope: place ? null : 'row', class: column.numeric ? 'n' : column.words ? 'words' : null, title: place && !column.numeric && !column.node ? String(shown(column, row.original)) : null },
        column.node ? column.node(row.original) : String(shown(column, row.original)))))));
    const { sorting: sorted } = table.getState();
    columns.forEach((column, place) => markSorted(head.children[place], sorted.find((one) => one.id === column.id)));
    const all = table.getCoreRowModel().rows.length;
    status.textContent = `${count === all ? `${all}` : `${count} of ${all}`} line${all === 1 ? '' : 's'}${pages > 1 ? `, page ${pageIndex + 1} of ${pages}` : ''}`;
    pager.hidden = pages < 2;
    pager.children[0].disabled = pager.children[1].disabled = pageIndex === 0;
    pager.children[2].disabled = pager.children[3].disabled = pageIndex + 1 >= pages;
    if (onshow) onshow(table);
    return undefined;
  };
  const table = tableOf(data, defined, { sorting, pagination: { pageIndex: 0, pageSize: page } }, draw);
  for (const column of columns) {
    head.append(el('th', { scope: 'col', class: column.numeric ? 'n' : null }, sorter(column.head, () => {
      const found = turn(table, column.id, Boolean(column.numeric) && column.first !== 'ascending');
      say(found ? `Sorted by ${column.head}, ${found.desc ? 'descending' : 'ascending'}` : 'In the first order');
    })));
  }
  const go = (text, label, place) => el('button', { type: 'button', class: 'small', 'aria-label': label, onclick: () => table.setPageIndex(place()) }, text);
  const at = () => table.getState().pagination.pageIndex;
  pager.append(go('«', 'First page', () => 0), go('‹ Previous', 'Previous page', () => at() - 1),
    go('Next ›', 'Next page', () => at() + 1), go('»', 'Last page', () => table.getPageCount() - 1));
  const tools = el('div', { class: 'tools' }, ...before);
  const filter = (id, value) => {
    table.setState((state) => ({
      ...state,
      pagination: { ...state.pagination, pageIndex: 0 },
      columnFilters: [...state.columnFilters.filter((one) => one.id !== id), ...(value === undefined ? [] : [{ id, value }])],
    }));
  };
  if (data.length > 10) tools.append(labelled(searched, search('words, in any column', (found) => filter(ALL, found.length ? found : undefined))));
  for (const column of columns.filter((one) => one.filter)) {
    const values = [...table.getColumn(column.id).getFacetedUniqueValues().keys()].filter((one) => one !== undefined).sort(compare);
    if (values.length < 2 || values.length > 500) continue;
    tools.append(labelled(column.head, choice([['', 'all'], ...values.map((one, place) => [String(place), String(one)])], '', (place) =>
      filter(column.id, place === '' ? undefined : values[Number(place)]))));
  }
  host.replaceChildren(...(tools.children.length ? [tools] : []), status, wide(caption,
    el('table', { class: 'sheet grid' }, el('caption', { class: 'unseen' }, caption), el('thead', {}, head), body)), pager);
  draw(table);
  return table;
};
