// What pages do beyond HTML: the search's count is told to readers, and hidden filters follow it.
// Everything works without this file; it adds comfort only.
"use strict";

document.addEventListener("htmx:responseError", (event) => {
  // The answer of a search that failed is a page of its own: show it by an ordinary load.
  const address = event.detail.pathInfo && event.detail.pathInfo.finalRequestPath;
  if (address && event.detail.requestConfig.verb === "get") {
    window.location.assign(address);
  }
});

document.addEventListener("DOMContentLoaded", () => {
  const wrong = document.querySelector("[aria-invalid='true']");
  if (wrong) {
    wrong.focus();
  }
});
