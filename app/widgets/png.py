"""A link that saves the drawing beside it as PNG, inside the browser."""

from typing import Final

import streamlit as st

_CSS: Final = """
button { all: unset; cursor: pointer; color: var(--st-gray-text-color); font: 400 12px/16px var(--st-font);
  border-bottom: 1px solid var(--st-border-color); padding: 0; white-space: nowrap; }
button:hover { color: var(--st-text-color); border-color: currentColor; }
button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 2px; }
"""

# Plotly stacks several SVGs in one chart, components keep theirs in a shadow root, heat maps are canvases: all end on one canvas.
_JS: Final = """
const drawings = (root) => {
  const found = [...root.querySelectorAll('svg.main-svg')];
  if (found.length) return found;
  for (const node of root.querySelectorAll('*')) {
    if (node.shadowRoot) {
      const inside = [...node.shadowRoot.querySelectorAll('canvas, svg')].filter((n) => n.getBoundingClientRect().width > 100);
      if (inside.length) return inside;
    }
  }
  return [...root.querySelectorAll('canvas, svg')].filter((n) => n.getBoundingClientRect().width > 100);
};
const picture = (svg, box) => new Promise((resolve, reject) => {
  const copy = svg.cloneNode(true);
  copy.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  copy.setAttribute('width', box.width); copy.setAttribute('height', box.height);
  copy.style.fontFamily = getComputedStyle(svg).fontFamily;
  const image = new Image();
  image.onload = () => resolve(image); image.onerror = reject;
  image.src = 'data:image/svg+xml;charset=utf-8,' + encodeURIComponent(new XMLSerializer().serializeToString(copy));
});
export default function ({ data, parentElement }) {
  const button = parentElement.querySelector('button');
  button.onclick = async () => {
    const root = document.querySelector('.st-key-' + CSS.escape(data.target));
    const parts = root ? drawings(root) : [];
    if (!parts.length) return;
    const boxes = parts.map((part) => part.getBoundingClientRect());
    const left = Math.min(...boxes.map((b) => b.left)), top = Math.min(...boxes.map((b) => b.top));
    const right = Math.max(...boxes.map((b) => b.right)), bottom = Math.max(...boxes.map((b) => b.bottom));
    const canvas = document.createElement('canvas');
    canvas.width = 2 * (right - left); canvas.height = 2 * (bottom - top);
    const pen = canvas.getContext('2d');
    pen.fillStyle = data.background; pen.fillRect(0, 0, canvas.width, canvas.height);
    for (let i = 0; i < parts.length; i++) {
      const image = parts[i].tagName.toLowerCase() === 'canvas' ? parts[i] : await picture(parts[i], boxes[i]);
      pen.drawImage(image, 2 * (boxes[i].left - left), 2 * (boxes[i].top - top), 2 * boxes[i].width, 2 * boxes[i].height);
    }
    const link = document.createElement('a');
    link.download = data.name; link.href = canvas.toDataURL('image/png'); link.click();
  };
}
"""

_LINK = st.components.v2.component("intentwin.png", html='<button type="button">PNG</button>', css=_CSS, js=_JS)


def png_link(target: str, name: str, background: str, *, key: str) -> None:
    """Put a link that saves what is drawn in the container of key ``target`` as ``name``."""
    _LINK(key=key, data={"target": target, "name": name, "background": background}, width="content")
