// Plotly stacks several SVGs in one chart, components keep theirs in a shadow root, heat maps are canvases: all end on one canvas.
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
  for (const name of ['fontFamily', 'fontSize', 'fontWeight']) copy.style[name] = getComputedStyle(svg)[name];
  const image = new Image();
  image.onload = () => resolve(image); image.onerror = reject;
  image.src = 'data:image/svg+xml;charset=utf-8,' + encodeURIComponent(new XMLSerializer().serializeToString(copy));
});
export default function ({ data: [data], parentElement }) {
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
