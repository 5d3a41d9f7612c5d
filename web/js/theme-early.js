// Sets a stored theme before the first paint, so that a dark page never flashes white. A classic script, because
// modules run after parsing. Everything else about themes is in theme.js.
(function () {
  try {
    const stored = localStorage.getItem("declaim_theme");
    if (stored === "light" || stored === "dark") document.documentElement.dataset.theme = stored;
  } catch {
    // Storage is forbidden here: the system's preference applies.
  }
})();
