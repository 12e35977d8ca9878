// Inside a frame of a notebook: send the height of this page to the page around it. The receiver is page/notebook.py.

let sent = 0;

/** Sends the height of the content, which does not depend on the height of the frame. */
function send() {
  const height = Math.ceil(document.getElementById("app").getBoundingClientRect().height);
  if (Math.abs(height - sent) < 2) return;
  sent = height;
  parent.postMessage({from: "pellucid", height}, "*");
}

if (parent !== window) new ResizeObserver(send).observe(document.getElementById("app"));
