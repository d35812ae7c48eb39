const NS = 'http://www.w3.org/2000/svg';
const memory = new WeakMap();
const make = (name, attributes, text) => {
  const node = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
};
export default function ({ data: [data], parentElement, setStateValue }) {
  const find = (name) => parentElement.querySelector(name);
  const known = memory.get(parentElement) || { t: data.t_s, timer: null };
  memory.set(parentElement, known);
  if (known.from !== data.t_s) { known.from = data.t_s; if (!known.timer && !known.moving) known.t = data.t_s; }
  const axis = find('.axis'), clock = find('.clock'), play = find('.play'), read = find('.read');
  const word = (t) => {
    const minutes = Math.floor((data.start_s + t) / 60 + 1e-6), day = Math.floor(minutes / 1440);
    const two = (n) => String(n).padStart(2, '0');
    return (data.days > 1 ? 'day ' + (day + 1) + ' ' : '') + two(Math.floor(minutes / 60) % 24) + ':' + two(minutes % 60);
  };
  const width = () => Math.max(80, axis.getBoundingClientRect().width);
  const draw = () => {
    clock.textContent = word(known.t);
    axis.setAttribute('aria-valuetext', word(known.t)); axis.setAttribute('aria-valuenow', known.t);
    axis.setAttribute('aria-valuemin', 0); axis.setAttribute('aria-valuemax', data.horizon_s);
    if (!data.axis) return;
    const w = width(), x = (t) => 14 + (w - 28) * t / data.horizon_s;
    axis.replaceChildren(make('line', { x1: x(0), x2: x(data.horizon_s), y1: 18.5, y2: 18.5, stroke: data.colours.control }));
    for (const event of data.events) axis.append(make('line', { x1: x(event), x2: x(event), y1: 12, y2: 18, stroke: data.colours.text, 'stroke-width': 1.5 }));
    for (let k = 0; k <= 4; k++) {
      const t = data.horizon_s * k / 4;
      axis.append(make('text', { x: x(t), y: 34, 'text-anchor': 'middle', 'font-size': 12, fill: data.colours.muted }, k === 4 && data.days === 1 ? '24:00' : word(t)));
    }
    axis.append(make('path', { d: `M${x(known.t) - 5} 2h10v7l-5 5l-5-5z`, fill: data.colours.text }));
    axis.append(make('line', { x1: x(known.t), x2: x(known.t), y1: 8, y2: 24, stroke: data.colours.text, 'stroke-width': 1.2 }));
  };
  const show = (t, tell) => {
    known.t = Math.min(Math.max(t, 0), data.horizon_s);
    draw();
    if (tell) known.moving = true;  // an older answer from Python must not take the step back
    if (tell) window.dispatchEvent(new CustomEvent('intentwin:t', { detail: { t_s: known.t, from: 'strip' } }));
  };
  const settle = () => { known.moving = false; setStateValue('t_s', Math.round(known.t)); };
  const step = (sign) => { show(known.t + sign * data.step_s, true); clearTimeout(known.wait); known.wait = setTimeout(settle, 250); };
  const stop = () => { clearInterval(known.timer); known.timer = null; play.setAttribute('aria-label', 'Play');
    play.querySelector('path').setAttribute('d', 'M4.5 2.500v11L13 8z'); };
  const toggle = () => {
    if (known.timer) { stop(); settle(); return; }
    play.setAttribute('aria-label', 'Pause'); play.querySelector('path').setAttribute('d', 'M4 3h3v10H4zM9 3h3v10H9z');
    let told = performance.now();
    known.timer = setInterval(() => {
      show(known.t + Number(find('.speed').value) / 20, true);
      if (performance.now() - told > 2500) { told = performance.now(); settle(); }
      if (known.t >= data.horizon_s) { stop(); settle(); }
    }, 50);
  };
  axis.style.display = data.axis ? '' : 'none';
  read.replaceChildren();
  for (const [name, value] of data.read) {
    const strong = document.createElement('b'); strong.textContent = value;
    if (read.childNodes.length) read.append('\n');
    read.append(name + ' ', strong);
  }
  const at = (event) => { const box = axis.getBoundingClientRect(); return (event.clientX - box.left - 14) / (box.width - 28) * data.horizon_s; };
  axis.onpointerdown = (event) => { axis.setPointerCapture(event.pointerId); show(at(event), true); };
  axis.onpointermove = (event) => { if (axis.hasPointerCapture(event.pointerId)) show(at(event), true); };
  axis.onpointerup = settle;
  find('.back').onclick = () => step(-1); find('.next').onclick = () => step(1); play.onclick = toggle;
  const copy = find('.copy');
  copy.onclick = async () => {
    try { await navigator.clipboard.writeText(location.href); copy.textContent = 'Copied'; } catch { copy.textContent = 'Copy the address'; }
    setTimeout(() => { copy.textContent = 'Copy link'; }, 1600);
  };
  const typing = () => {
    let active = document.activeElement;
    while (active && active.shadowRoot && active.shadowRoot.activeElement) active = active.shadowRoot.activeElement;
    return active && (active.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT', 'BUTTON'].includes(active.tagName)
      || (active.getAttribute && active.getAttribute('role') === 'slider' && active !== axis));
  };
  const keys = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.key === '/' && !typing()) {
      const field = document.querySelector('[data-testid=stChatInputTextArea], [data-testid=stChatInput] textarea');
      if (field) { event.preventDefault(); field.focus(); }
    } else if (!typing() && (event.key === 'ArrowLeft' || event.key === 'ArrowRight')) { event.preventDefault(); step(event.key === 'ArrowLeft' ? -1 : 1); }
    else if (!typing() && event.key === ' ') { event.preventDefault(); toggle(); }
  };
  const elsewhere = (event) => { if (event.detail.from !== 'strip') { known.t = event.detail.t_s; draw(); } };
  if (known.undo) known.undo();
  document.addEventListener('keydown', keys); window.addEventListener('intentwin:t', elsewhere);
  const resized = new ResizeObserver(draw); resized.observe(axis);
  known.undo = () => { document.removeEventListener('keydown', keys); window.removeEventListener('intentwin:t', elsewhere); resized.disconnect(); };
  draw();
  return () => { known.undo(); clearInterval(known.timer); memory.delete(parentElement); };
}
