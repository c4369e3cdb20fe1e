// Theme: as the system has it, or light, or dark; remembered where the browser lets a page from a disk remember.

const THEME = 'sigma-bench-theme';

const remembered = () => {
  try {
    return localStorage.getItem(THEME) || 'auto';
  } catch {
    return 'auto';
  }
};

const setTheme = (name) => {
  if (name === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  for (const button of document.querySelectorAll('[data-theme-to]')) {
    button.setAttribute('aria-pressed', String(button.dataset.themeTo === name));
  }
  try {
    localStorage.setItem(THEME, name);
  } catch {
    // a page without storage forgets it, nothing more
  }
};

const startTheme = () => {
  const known = ['auto', 'light', 'dark'];
  setTheme(known.includes(remembered()) ? remembered() : 'auto');
  for (const button of document.querySelectorAll('[data-theme-to]')) {
    button.addEventListener('click', () => {
      setTheme(button.dataset.themeTo);
      say(`Colours: ${button.dataset.themeTo}`);
    });
  }
  document.querySelector('.theme').hidden = false;
};
