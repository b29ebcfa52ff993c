// Before anything is drawn: the theme that was chosen, so that nothing flashes. A classic script, since modules wait.
(() => {
  try {
    const chosen = localStorage.getItem("skipseg-theme");
    if (chosen) document.documentElement.dataset.theme = chosen;
  } catch { /* storage is closed: the system's theme it is */ }
})();
