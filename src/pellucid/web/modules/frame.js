// Inside a frame of a notebook: tell the page around it how high this one is. The other end is page/notebook.py.

let told = 0;

/** The height is that of the content, never of the frame, so that telling it does not change it. */
function tell() {
  const height = Math.ceil(document.getElementById("app").getBoundingClientRect().height);
  if (Math.abs(height - told) < 2) return;
  told = height;
  parent.postMessage({from: "pellucid", height}, "*");
}

if (parent !== window) new ResizeObserver(tell).observe(document.getElementById("app"));
