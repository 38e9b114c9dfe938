// What is wider than its place is scrolled by the keyboard, too.
"use strict";
(() => {
function stops() {
  for (const place of document.querySelectorAll(".scroll")) {
    const wide = place.scrollWidth > place.clientWidth || place.scrollHeight > place.clientHeight + 1;
    if (wide) place.tabIndex = 0;
    else place.removeAttribute("tabindex");
  }
}
const observer = new ResizeObserver(stops);
for (const place of document.querySelectorAll(".scroll")) {
  observer.observe(place);
  for (const child of place.children) observer.observe(child);
}
stops();
})();
