// The text comes from our own writers, which escape every word; what could act or fetch is taken out all the same.
export default function ({ data: [data], parentElement, setTriggerValue }) {
  const root = parentElement.querySelector('.talk'), line = root.querySelector('.says');
  root.className = 'talk' + (data.narrow ? ' ' + data.turns : '');
  for (const [name, text] of [['wide', data.svg], ['narrow', data.narrow]]) {
    const place = root.querySelector('.' + name);
    if (!text) { place.replaceChildren(); continue; }
    const found = new DOMParser().parseFromString(text, 'image/svg+xml').documentElement;
    for (const node of found.querySelectorAll('script, foreignObject, a, image, use')) node.remove();
    place.replaceChildren(document.importNode(found, true));
  }
  const groups = [...root.querySelectorAll('[data-says]')], scales = [...root.querySelectorAll('[data-from]')];
  const say = (node) => { line.textContent = node ? node.dataset.says : data.hint; };
  line.classList.toggle('none', !groups.length && !data.hint);
  say(null);
  const shown = () => groups.filter((node) => node.getClientRects().length && node.dataset.pick);
  let at = null;
  const light = (node) => { at?.classList.remove('on'); at = node; at?.classList.add('on'); say(node); };
  for (const node of groups) {
    node.onpointerenter = () => say(node);
    node.onpointerleave = () => say(at);
    if (node.dataset.pick) node.onclick = () => { light(node); setTriggerValue('picked', node.dataset.pick); };
  }
  if (groups.some((node) => node.dataset.pick)) {
    root.tabIndex = 0; root.setAttribute('role', 'group'); root.setAttribute('aria-label', data.hint || 'messages');
    root.onkeydown = (event) => {
      const all = shown(), index = all.indexOf(at), by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (event.target !== root || !all.length) return;
      if (by) { light(all[Math.min(Math.max(index < 0 ? (by > 0 ? 0 : all.length - 1) : index + by, 0), all.length - 1)]); }
      else if (event.key === 'Enter' && at) setTriggerValue('picked', at.dataset.pick);
      else if (event.key === 'Escape') light(null);
      else return;
      event.preventDefault(); event.stopPropagation();
    };
    root.onblur = () => light(null);
  } else { root.removeAttribute('tabindex'); root.onkeydown = null; }
  for (const node of scales) {
    const number = (name) => Number(node.dataset[name]);
    const from = number('from'), to = number('to'), step = number('step');
    let t = number('at'), wait = null;
    const mark = node.parentElement.querySelector('.handle');
    const show = () => { if (mark) mark.setAttribute('transform', `translate(${Number(mark.dataset.wide) * (t - number('at'))} 0)`); };
    const time = (event) => { const box = node.getBoundingClientRect(); return from + (to - from) * Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1); };
    const put = (value) => { t = Math.min(Math.max(value, from), to); show(); };
    node.classList.add('scale'); node.setAttribute('tabindex', '0'); node.setAttribute('role', 'slider');
    node.setAttribute('aria-valuemin', from); node.setAttribute('aria-valuemax', to); node.setAttribute('aria-valuenow', t);
    node.onpointerdown = (event) => { node.setPointerCapture(event.pointerId); put(time(event)); };
    node.onpointermove = (event) => { if (node.hasPointerCapture(event.pointerId)) put(time(event)); };
    node.onpointerup = (event) => { put(time(event)); setTriggerValue('moved', t); };
    node.onkeydown = (event) => {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!by) return;
      event.preventDefault(); event.stopPropagation();
      put(t + by * step); clearTimeout(wait); wait = setTimeout(() => setTriggerValue('moved', t), 250);
    };
  }
}
