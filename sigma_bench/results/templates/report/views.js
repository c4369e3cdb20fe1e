// Views: one part of the report at a time, by the part of the address after #, so that a link leads to any table.

const drawers = new Map();
const drawnAt = new Map();

// `draw(view)` is called when a part is first seen, and again when its width has changed.
const onView = (id, draw, again = true) => drawers.set(id, { draw, again });

const placeOf = (hash) => {
  try {
    return document.getElementById(decodeURIComponent(hash.slice(1)));
  } catch {
    return null;
  }
};

const drawView = (view) => {
  const drawer = drawers.get(view.id);
  const width = view.clientWidth;
  if (!drawer || drawnAt.get(view.id) === width || (drawnAt.has(view.id) && !drawer.again)) return;
  drawnAt.set(view.id, width);
  drawer.draw(view);
};

const route = (focus) => {
  const place = placeOf(location.hash) || document.getElementById('overview');
  if (place.id === 'main') return;
  const view = place.closest('.view') || document.getElementById('overview');
  for (const other of document.querySelectorAll('.view')) other.hidden = other !== view;
  for (const link of document.querySelectorAll('nav a')) {
    if (link.hash === `#${view.id}`) {
      link.setAttribute('aria-current', 'page');
      link.parentElement.scrollIntoView({ block: 'nearest', inline: 'center' });
    } else link.removeAttribute('aria-current');
  }
  drawView(view);
  if (place === view) scrollTo(0, 0);
  else {
    const suite = place.closest('.suite');
    if (suite && suite.hidden) showSuite(view, suite.dataset.suite);
    place.scrollIntoView();
  }
  if (focus) (place === view ? view.querySelector('h2') : place.querySelector('h3') || place).focus({ preventScroll: true });
};

const startViews = () => {
  document.documentElement.classList.add('scripted');
  addEventListener('hashchange', () => route(true));
  addEventListener('resize', later(() => drawView(document.querySelector('.view:not([hidden])'))));
  route(false);
};
