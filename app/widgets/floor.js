// A day of the floor in the browser: cubes of bytes, a plan, a scrubber. No traffic while the cursor moves.
const MISSING = 255, GPUS = 8, MINUS = '\u2212', GAP = '\u00a0';
const instances = new WeakMap();

const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const floats = (text) => new Float32Array(bytes(text).buffer);
const inflate = async (text, places) => {
  const stream = new Blob([bytes(text)]).stream().pipeThrough(new DecompressionStream('deflate'));
  const out = new Uint8Array(await new Response(stream).arrayBuffer());
  for (let i = places; i < out.length; i++) out[i] = out[i] + out[i - places];  // wraps at 256, as it was written
  return out;
};
const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
const palette = (stops, quantity) => {
  const colours = stops.map(rgb), last = colours.length - 1, out = [];
  for (let code = 0; code < 256; code++) {
    const at = Math.max(0, Math.min(1, (quantity.low + code * quantity.step - quantity.low) / (quantity.top - quantity.low))) * last;
    const below = Math.min(Math.floor(at), last - 1), part = at - below;
    out.push(`rgb(${colours[below].map((c, i) => Math.round(c + (colours[below + 1][i] - c) * part)).join(',')})`);
  }
  return out;
};
const shown = (value, quantity, digits) => {
  if (!Number.isFinite(value)) return '–';
  const text = (value * quantity.factor).toFixed(digits ?? quantity.digits).replace('-', MINUS);
  return text + GAP + quantity.unit;
};
const kilowatts = (watts) => {
  const kw = watts / 1000;
  return (Math.abs(kw) >= 100 ? kw.toFixed(0) : Math.abs(kw) >= 10 ? kw.toFixed(1) : kw.toFixed(2)).replace('-', MINUS) + GAP + 'kW';
};

class Floor {
  constructor(root) {
    this.root = root;
    for (const name of ['seg', 'scale', 'plan', 'track', 'says', 'tip', 'keys']) this[name] = root.querySelector('.' + name);
    this.playing = false; this.drawn = 0; this.speeds = [60, 600, 1800]; this.speed = 600; this.committed = null; this.boxes = [];
    this.wire();
    this.watch = new ResizeObserver(() => this.resize());
    this.watch.observe(root);
    this.hear = (event) => this.listen(event.detail);
    this.told = (event) => { if (event.detail.from !== 'floor') this.follow((event.detail.t_s - (this.data?.begin_s ?? 0)) / 60); };
    document.addEventListener('intentwin:floor', this.hear); window.addEventListener('intentwin:t', this.told);
  }

  async take(data, setStateValue) {
    this.send = setStateValue;
    const fresh = !this.data || this.data.version !== data.version;
    this.data = data; this.colours = data.colours;
    const style = this.root.style, c = this.colours;
    for (const [name, value] of Object.entries({ ink: c.text, muted: c.muted, line: c.hairline, chosen: c.candidate_fill, accent: c.candidate, today: c.today, paper: c.surface }))
      style.setProperty('--' + name, value);
    if (fresh) {
      const kept = this.quantity?.name, version = data.version;
      const made = await Promise.all(data.quantities.map(async (q) => ({
        ...q, codes: await inflate(q.codes, q.places), limits: bytes(q.limit_codes),
        worst: Object.fromEntries(Object.entries(q.worst).map(([name, text]) => [name, floats(text)])),
      })));
      if (this.data.version !== version) return;
      this.quantities = made;
      this.power = Object.fromEntries(Object.entries(data.power).map(([name, text]) => [name, floats(text)]));
      this.budget = floats(data.budget);
      this.aisles = Object.fromEntries(Object.entries({ ...data.aisles, ...data.air }).map(([name, text]) => [name, floats(text)]));
      this.quantity = this.quantities.find((q) => q.name === kept) ?? this.quantities[0];
      const now = globalThis.intentwinCursor;
      if (this.minute === undefined) { this.minute = now?.minute ?? 0; this.rack = now?.rack ?? ''; }
      this.minute = Math.min(this.minute, data.minutes - 1);
    }
    if (!this.quantities) return;
    this.bound(globalThis.intentwinCursor?.bounds);
    for (const q of this.quantities) q.palette = palette(data.heat, q);
    this.segments(); this.resize();
  }

  listen(detail) {
    if (!this.quantities || !detail) return;
    this.bound(detail.bounds);
    if (detail.rack !== undefined && detail.rack !== this.rack) { this.rack = detail.rack; this.ask(); }
    if (detail.minute === this.committed || this.dragging || this.playing) return;
    this.committed = detail.minute; this.follow(detail.minute);
  }

  // Bounds of intents: which cells are past them comes as one bit a place and minute.
  async bound(found = []) {
    const told = JSON.stringify(found);
    if (told === this.bounded) return;
    this.bounded = told;
    const unpack = async (text) => new Uint8Array(await new Response(new Blob([bytes(text)]).stream().pipeThrough(new DecompressionStream('deflate'))).arrayBuffer());
    const made = await Promise.all(found.map(async (item) => ({ ...item, over: item.over ? await unpack(item.over) : null })));
    if (told !== this.bounded) return;
    this.bounds = made; this.resize();
  }

  asked() { return (this.bounds ?? []).filter((item) => item.quantity === this.quantity.name); }

  // Whether a server, one of its GPUs, or (gpu -1) any of them is past what is asked.
  over(base, server, gpu) {
    const first = base + (gpu === null ? server : server * GPUS + Math.max(gpu, 0)), last = gpu === -1 ? first + GPUS : first + 1;
    for (const { over } of this.asking) if (over) for (let at = first; at < last; at++) if (over[at >> 3] & (1 << (at & 7))) return true;
    return false;
  }

  follow(minute) { if (this.quantities && !this.dragging && !this.playing) { this.minute = Math.max(0, Math.min(this.data.minutes - 1, minute)); this.ask(); } }

  // Whoever shows the cursor elsewhere on the page hears of every move at once; Python hears where it comes to rest.
  tell() { window.dispatchEvent(new CustomEvent('intentwin:t', { detail: { t_s: this.data.begin_s + Math.floor(this.minute) * 60, from: 'floor' } })); }

  // ---- what the operator does ------------------------------------------------------------------------------------------------
  wire() {
    const by = (name) => this.root.querySelector('.' + name);
    by('prev').onclick = () => this.step(-1); by('next').onclick = () => this.step(1); by('play').onclick = () => this.toggle();
    by('speed').onclick = () => { this.speed = this.speeds[(this.speeds.indexOf(this.speed) + 1) % this.speeds.length]; by('speed').textContent = this.speed + '×'; };
    const at = (event) => {
      const box = this.track.getBoundingClientRect(), span = this.span();
      this.go(Math.round(((event.clientX - box.left - span.left) / span.width) * (this.data.minutes - 1)));
    };
    this.track.onpointerdown = (e) => { if (!this.quantities) return; this.stop(); this.dragging = true; this.track.setPointerCapture(e.pointerId); at(e); };
    this.track.onpointermove = (e) => { if (this.dragging) at(e); };
    this.track.onpointerup = this.track.onpointercancel = () => { if (this.dragging) { this.dragging = false; this.commit(); } };
    this.track.onkeydown = (e) => {
      const step = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1, PageDown: -60, PageUp: 60, Home: -1e9, End: 1e9 }[e.key];
      if (e.key === ' ') { this.toggle(); e.preventDefault(); }
      if (step === undefined) return;
      e.preventDefault(); this.step(e.shiftKey && Math.abs(step) === 1 ? step * 10 : step);
    };
    this.plan.onclick = (e) => { const hit = this.hit(e); if (hit) { this.rack = hit.rack; this.ask(); this.send('rack', hit.rack); } };
    this.plan.onpointermove = (e) => this.hover(e);
    this.plan.onpointerleave = () => { this.tip.style.display = 'none'; };
  }

  go(minute) { this.minute = Math.max(0, Math.min(this.data.minutes - 1, minute)); this.tell(); this.ask(); }

  step(by) { if (!this.quantities) return; this.stop(); this.go(Math.floor(this.minute) + by); clearTimeout(this.late); this.late = setTimeout(() => this.commit(), 300); }

  toggle() { if (!this.quantities) return; if (this.playing) { this.stop(); this.commit(); } else { this.playing = true; this.then = performance.now(); this.face(); this.ask(); } }

  stop() { this.playing = false; this.face(); }

  face() {
    const button = this.root.querySelector('.play');
    button.setAttribute('aria-label', this.playing ? 'Pause' : 'Play');
    button.querySelector('path').setAttribute('d', this.playing ? 'M2 1h3v10H2zM7 1h3v10H7z' : 'M2 1l9 5-9 5z');
  }

  commit() {
    const minute = Math.floor(this.minute);
    if (minute === this.committed) return;
    this.committed = minute; globalThis.intentwinCursor = { ...globalThis.intentwinCursor, minute };
    this.send('minute', minute);
  }

  segments() {
    this.seg.replaceChildren(...this.quantities.map((quantity) => {
      const button = document.createElement('button');
      button.type = 'button'; button.textContent = quantity.label; button.setAttribute('role', 'radio');
      button.setAttribute('aria-checked', String(quantity === this.quantity));
      button.onclick = () => { this.quantity = quantity; this.segments(); this.resize(); this.send('quantity', quantity.name); };
      return button;
    }));
    this.keys.style.visibility = this.quantity.worst.today && this.quantity.worst.candidate ? 'visible' : 'hidden';
  }

  // ---- geometry --------------------------------------------------------------------------------------------------------------
  resize() {
    if (!this.quantities) return;
    const width = this.root.clientWidth;
    if (!width) return;
    this.narrow = width < 560; this.ratio = window.devicePixelRatio || 1;
    const racks = Math.max(...this.data.rows.map((row) => row.racks.length)), slots = Math.max(...this.data.rows.flatMap((r) => r.racks.map((k) => k.servers)));
    const left = this.narrow ? 46 : 64, right = this.narrow ? 0 : 168;
    const pitch = Math.floor((width - left - right) / racks), gap = this.narrow ? 3 : 5;
    const cell = this.narrow || this.quantity.per === 'server' ? pitch - gap : Math.max(2, Math.floor((pitch - gap) / GPUS));
    const wide = this.narrow || this.quantity.per === 'server' ? pitch - gap : cell * GPUS;
    this.size = { width, left, pitch, wide, cell, tall: this.narrow ? 10 : window.innerHeight < 960 ? 15 : 18, slots };
    let y = 0;
    this.places = this.data.rows.map((row, i) => {
      const facing = i > 0 && this.data.rows[i - 1].aisle === row.aisle;
      if (facing) y += 26; else y += 16;
      const top = y;
      y += slots * this.size.tall + (facing ? 22 : 6);
      return { row, top, facing };
    });
    this.height = Math.round(y + 2); this.trackHeight = (this.narrow ? 148 : 122) + (this.asked().length ? 16 : 0);
    for (const [canvas, w, h] of [[this.plan, width, this.height], [this.track, width, this.trackHeight], [this.scale, this.narrow ? width : 250, 32]]) {
      canvas.width = Math.round(w * this.ratio); canvas.height = Math.round(h * this.ratio); canvas.style.height = h + 'px';
    }
    this.back = null; this.drawScale(); this.says.textContent = this.quantity.says; this.ask();
  }

  span() { const left = this.narrow ? 34 : 64; return { left, width: this.size.width - left - (this.narrow ? 10 : 14), top: this.narrow ? 34 : 20, bottom: this.trackHeight - (this.narrow ? 56 : 48) }; }

  pen(canvas) {
    const pen = canvas.getContext('2d');
    pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    pen.font = this.font(); pen.textBaseline = 'alphabetic'; pen.textAlign = 'left';
    return pen;
  }

  font(weight = 400, size = 12) { return `${weight} ${size}px ${this.family ??= getComputedStyle(this.root).fontFamily}`; }

  word(pen, text, x, y, colour, { weight = 400, align = 'left' } = {}) {
    pen.font = this.font(weight); pen.fillStyle = colour; pen.textAlign = align; pen.fillText(text, x, y);
  }

  hit(event) {
    if (!this.places) return null;
    const box = this.plan.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top, s = this.size;
    for (const { row, top } of this.places) {
      const slot = Math.floor((y - top) / s.tall), place = Math.floor((x - s.left) / s.pitch);
      const rack = row.racks[place];
      if (y < top || !rack || slot >= rack.servers || x < s.left || x - s.left - place * s.pitch > s.wide) continue;
      const gpu = this.quantity.per === 'gpu' && !this.narrow ? Math.min(GPUS - 1, Math.floor((x - s.left - place * s.pitch) / s.cell)) : -1;
      return { rack: rack.id, server: rack.first + slot, gpu, x, y };
    }
    return null;
  }

  hover(event) {
    const hit = this.hit(event);
    if (!hit) { this.tip.style.display = 'none'; return; }
    const q = this.quantity, code = this.code(hit.server, hit.gpu);
    const name = this.data.servers[hit.server] + (hit.gpu >= 0 ? ` · GPU ${hit.gpu}` : '');
    this.tip.textContent = `${hit.rack} · ${name} · ${code === MISSING ? 'no value' : shown(q.low + code * q.step, q, q.coarse)}`;
    this.tip.style.display = 'block';
    const left = Math.min(hit.x + 12, this.size.width - this.tip.offsetWidth - 4);
    this.tip.style.left = left + 'px'; this.tip.style.top = this.plan.offsetTop + hit.y + 14 + 'px';
  }

  // The code of a GPU, or of a server: its hottest GPU where the quantity belongs to GPUs.
  code(server, gpu) {
    const q = this.quantity, base = Math.floor(this.minute) * q.places;
    if (q.per === 'server') return q.codes[base + server];
    if (gpu >= 0) return q.codes[base + server * GPUS + gpu];
    let worst = -1;
    for (let i = 0; i < GPUS; i++) { const code = q.codes[base + server * GPUS + i]; if (code !== MISSING && code > worst) worst = code; }
    return worst < 0 ? MISSING : worst;
  }

  // ---- drawing ---------------------------------------------------------------------------------------------------------------
  ask() { if (!this.waiting) { this.waiting = true; requestAnimationFrame((now) => { this.waiting = false; this.frame(now); }); } }

  frame(now) {
    if (!this.quantities || !this.size) return;
    if (this.playing) {
      this.minute = this.minute + ((now - this.then) / 1000) * (this.speed / 60); this.then = now; this.tell();
      if (this.minute >= this.data.minutes - 1) { this.minute = this.data.minutes - 1; this.stop(); this.commit(); } else this.ask();
    }
    const begun = performance.now();
    this.drawPlan(); this.drawTrack();
    this.root.dataset.frames = ++this.drawn; this.root.dataset.frameMs = (performance.now() - begun).toFixed(2);
  }

  drawPlan() {
    const pen = this.pen(this.plan), c = this.colours, q = this.quantity, s = this.size, hot = [], past = [];
    this.asking = this.asked();
    const minute = Math.floor(this.minute), base = minute * q.places;
    pen.clearRect(0, 0, s.width, this.height);
    this.places.forEach(({ row, top, facing }, index) => {
      if (facing) this.drawAisle(pen, row, top, minute);
      let worst = -1, broken = false, late = false;
      for (const [place, rack] of row.racks.entries()) {
        const x = s.left + place * s.pitch;
        pen.fillStyle = c.hairline; pen.fillRect(x, top, s.wide, rack.servers * s.tall);
        for (let slot = 0; slot < rack.servers; slot++) {
          const server = rack.first + slot, y = top + slot * s.tall;
          const fine = q.per === 'gpu' && !this.narrow, count = fine ? GPUS : 1;
          for (let i = 0; i < count; i++) {
            const code = fine ? q.codes[base + server * GPUS + i] : this.code(server, -1);
            if (code === MISSING) continue;
            const limit = q.per === 'gpu' ? q.limits[server * GPUS + (fine ? i : 0)] : q.limits[server];
            if (code > worst) worst = code;
            const at = x + (fine ? i * s.cell : 0), w = (fine ? s.cell : s.wide) - 1;
            if (code > limit) { broken = true; hot.push([at, y, w, s.tall - 1]); continue; }
            pen.fillStyle = q.palette[code]; pen.fillRect(at, y, w, s.tall - 1);
            if (this.asking.length && this.over(base, server, q.per === 'gpu' ? (fine ? i : -1) : null)) { late = true; past.push([at, y, w, s.tall - 1]); }
          }
        }
        const chosen = rack.id === this.rack, number = rack.id.slice(rack.id.lastIndexOf('-') + 1);
        if (!this.narrow || place === 0 || place === row.racks.length - 1 || place === Math.floor((row.racks.length - 1) / 2) || chosen)
          this.word(pen, number, x + s.wide / 2, facing ? top + rack.servers * s.tall + 13 : top - 4, chosen ? c.text : c.muted, { align: 'center', weight: chosen ? 600 : 400 });
        if (chosen) { pen.strokeStyle = c.text; pen.lineWidth = 1.5; pen.strokeRect(x - 3, top - 3, s.wide + 5, rack.servers * s.tall + 5); }
      }
      const middle = top + (s.slots * s.tall) / 2;
      this.word(pen, row.id, 0, middle - 3, c.text, { weight: 600 });
      const value = this.rowWorst(index, minute, worst);
      this.word(pen, shown(value, q), 0, middle + 13, broken || late ? c.broken_text : c.muted, { weight: broken || late ? 600 : 400 });
      if (!this.narrow) this.drawPower(pen, row, index, top, minute);
    });
    // Past what an intent asks, yet below the limit: the colour of the heat stays, inside a red frame.
    pen.strokeStyle = c.hot; pen.lineWidth = 2;
    for (const [x, y, w, h] of past) pen.strokeRect(x + 1, y + 1, w - 2, h - 2);
    pen.fillStyle = c.hot; pen.strokeStyle = c.hot_outline; pen.lineWidth = 1.5;
    for (const [x, y, w, h] of hot) { pen.fillRect(x, y, w, h); pen.strokeRect(x, y, w, h); }
  }

  rowWorst(index, minute, code) {
    const exact = this.quantity.worst['row-' + index];
    return exact ? exact[minute] : code < 0 ? NaN : this.quantity.low + code * this.quantity.step;
  }

  drawAisle(pen, row, top, minute) {
    const c = this.colours, s = this.size, width = row.racks.length * s.pitch - (s.pitch - s.wide), y = top - 25;
    const inlet = this.aisles[row.aisle + '/inlet_c']?.[minute], fans = this.aisles[row.aisle + '/airflow_share']?.[minute];
    const supply = this.aisles[row.aisle + '/supply_c']?.[minute], wanted = this.aisles[row.aisle + '/wanted_share']?.[minute];
    const words = [this.narrow ? row.aisle : `cold ${row.aisle}`];
    if (Number.isFinite(supply)) words.push(`${this.narrow ? '' : 'supply '}${supply.toFixed(1)}${GAP}°C`);
    else if (Number.isFinite(inlet)) words.push(`${this.narrow ? '' : 'mean inlet '}${inlet.toFixed(1)}${GAP}°C`);
    if (Number.isFinite(wanted)) words.push(`wants ${Math.round(wanted * 100)}${GAP}%${this.narrow ? '' : ' of its air'}`);
    else if (Number.isFinite(fans)) words.push(`fans ${Math.round(fans * 100)}${GAP}%`);
    const outage = this.data.outages.find((o) => o.aisle === row.aisle && o.from <= minute && minute < o.to), lost = outage || wanted > 1;
    if (wanted > 1) words.push(this.narrow ? 'recirculates' : 'hot air recirculates'); else if (outage) words.push(outage.words);
    pen.fillStyle = c.candidate_fill; pen.fillRect(s.left, y, width, 20);
    this.word(pen, words.join('   '), s.left + width / 2, y + 14, lost ? c.broken_text : c.muted, { align: 'center', weight: lost ? 600 : 400 });
  }

  drawPower(pen, row, index, top, minute) {
    const c = this.colours, s = this.size, rows = this.data.rows.length;
    const used = this.power[this.data.shown]?.[minute * rows + index];
    if (used === undefined) return;
    const x = s.width - 152, w = 138, y = top + (s.slots * s.tall) / 2 - 36, budget = this.budget[minute * rows + index], free = budget - used;
    const tight = free < 0 ? 'broken' : used > 0.95 * budget ? 'at risk' : '';
    this.word(pen, free < 0 ? `${kilowatts(-free)} over` : `${kilowatts(free)} free`, x, y + 20, free < 0 ? c.broken_text : c.text, { weight: 600 });
    if (tight) this.word(pen, tight === 'broken' ? '✕ broken' : '▲ at risk', x + w, y + 20, tight === 'broken' ? c.broken_text : c.risk_text, { align: 'right', weight: 600 });
    pen.fillStyle = c.hairline; pen.fillRect(x, y + 30, w, 7);
    pen.fillStyle = this.data.shown === 'candidate' ? c.candidate : c.today; pen.fillRect(x, y + 30, w * Math.min(1, used / budget), 7);
    const other = this.data.shown === 'candidate' ? this.power.today?.[minute * rows + index] : undefined;
    if (other !== undefined) { pen.fillStyle = c.muted; pen.fillRect(x + w * Math.min(1, other / budget) - 1, y + 27, 2, 13); }
    pen.fillStyle = c.limit; pen.fillRect(x + w, y + 26, 1, 15);
    this.word(pen, `${kilowatts(used)} of ${kilowatts(budget)}`, x, y + 55, c.muted);
  }

  drawScale() {
    const pen = this.pen(this.scale), c = this.colours, q = this.quantity, width = this.narrow ? this.size.width : 250;
    const end = width - (q.limit_words ? 34 : 2);
    pen.clearRect(0, 0, width, 32);
    for (let i = 0; i < end; i++) {
      const code = Math.min(254, Math.round(((i / (end - 1)) * (q.top - q.low)) / q.step));
      pen.fillStyle = q.palette[code]; pen.fillRect(i, 2, 1.5, 10);
    }
    this.word(pen, shown(q.low, q, 0), 0, 27, c.muted);
    for (const tick of q.ticks) this.word(pen, (tick * q.factor).toFixed(0), ((tick - q.low) / (q.top - q.low)) * end, 27, c.muted, { align: 'center' });
    if (q.limit_words) {
      pen.fillStyle = c.hot; pen.fillRect(end + 4, 3, 28, 8); pen.strokeStyle = c.hot_outline; pen.lineWidth = 1; pen.strokeRect(end + 4, 3, 28, 8);
      pen.fillStyle = c.limit; pen.fillRect(end, 0, 1, 15);
      this.word(pen, q.limit_words, width, 27, c.broken_text, { align: 'right', weight: 600 });
    } else this.word(pen, shown(q.top, q, 0), width, 27, c.muted, { align: 'right' });
  }

  // What does not move: grid, limit, both curves, events, hours. Drawn once for a width, a theme and a quantity.
  drawBack() {
    const canvas = document.createElement('canvas'), c = this.colours, q = this.quantity, n = this.data.minutes, span = this.span();
    canvas.width = this.track.width; canvas.height = this.track.height;
    const pen = this.pen(canvas), curves = ['today', 'candidate'].filter((name) => q.worst[name]);
    let low = Infinity, high = -Infinity;
    for (const name of curves) for (const value of q.worst[name]) if (Number.isFinite(value)) { low = Math.min(low, value); high = Math.max(high, value); }
    const asked = this.asked();
    for (const line of [...q.lines, ...asked]) high = Math.max(high, line.value);
    if (!Number.isFinite(low)) { low = q.low; high = q.top; }
    const room = (high - low || 1) * 0.08; low -= room; high += room;
    const y = (value) => span.bottom - ((value - low) / (high - low)) * (span.bottom - span.top), x = (minute) => span.left + (minute / (n - 1)) * span.width;
    this.place = { x, y };
    const step = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000].find((v) => (high - low) * q.factor / v <= 3.2) ?? 10000;
    for (let tick = Math.ceil((low * q.factor) / step) * step; tick <= high * q.factor; tick += step) {
      const at = y(tick / q.factor);
      if (q.lines.some((limit) => Math.abs(at - y(limit.value)) < 9)) continue;
      pen.fillStyle = c.grid; pen.fillRect(span.left, Math.round(at), span.width, 1);
      this.word(pen, tick.toFixed(step < 1 ? 1 : 0) + (this.narrow ? '' : GAP + q.unit), span.left - 8, at + 4, c.muted, { align: 'right' });
    }
    for (const limit of q.lines) { pen.fillStyle = c.limit; pen.fillRect(span.left, Math.round(y(limit.value)), span.width, 1); }
    for (const item of asked) for (const [from, to] of item.spans) {
      const at = Math.round(y(item.value));
      pen.fillStyle = c.limit; pen.fillRect(x(from), at, x(to) - x(from), 1); pen.fillRect(x(from), at - 4, 1, 9); pen.fillRect(x(to), at - 4, 1, 9);
    }
    for (const name of curves) {
      pen.beginPath(); let up = true;
      q.worst[name].forEach((value, i) => { if (!Number.isFinite(value)) { up = true; return; } pen[up ? 'moveTo' : 'lineTo'](x(i), y(value)); up = false; });
      pen.setLineDash(name === 'today' ? [4, 3] : []); pen.lineWidth = name === 'today' ? 1.5 : 2; pen.strokeStyle = name === 'today' ? c.today : c.candidate; pen.stroke(); pen.setLineDash([]);
    }
    const base = this.trackHeight - 26;
    pen.fillStyle = c.today; pen.fillRect(span.left, base, span.width, 1);
    for (const event of this.data.events) { pen.fillStyle = event.bad ? c.limit : c.text; pen.fillRect(Math.round(x(event.minute)) - 1, base - 6, 2, 12); }
    const worst = this.data.events.find((event) => event.bad);
    if (worst) {
      const words = `${this.clock(worst.minute)} ${worst.words}`, at = x(worst.minute), room = span.left + span.width - at - 6;
      const right = at > span.left + span.width / 2 || pen.measureText(words).width > room;
      this.word(pen, words, at + (right ? 6 : -6) * -1, base - 10, c.broken_text, { align: right ? 'right' : 'left' });
    }
    const hours = n / 60, every = [1, 2, 3, 6, 12, 24].find((h) => hours / h <= (this.narrow ? 5 : 9)) ?? 24;
    for (let minute = (1440 - this.data.start_minute) % 60; minute <= n; minute += 60) {
      const hour = Math.round((this.data.start_minute + minute) / 60);
      if (hour % every) continue;
      const text = minute >= n - 1 && hour % 24 === 0 ? '24:00' : this.clock(minute);
      this.word(pen, text, Math.max(span.left + 14, Math.min(x(Math.min(minute, n - 1)), span.left + span.width - 14)), this.trackHeight - 4, c.muted, { align: 'center' });
    }
    return canvas;
  }

  clock(minute) {
    const of = (this.data.start_minute + Math.floor(minute)) % 1440;
    return String(Math.floor(of / 60)).padStart(2, '0') + ':' + String(of % 60).padStart(2, '0');
  }

  drawTrack() {
    this.back ??= this.drawBack();
    const pen = this.track.getContext('2d'), c = this.colours, q = this.quantity, span = this.span(), minute = Math.floor(this.minute);
    pen.setTransform(1, 0, 0, 1, 0, 0); pen.clearRect(0, 0, this.track.width, this.track.height); pen.drawImage(this.back, 0, 0);
    this.pen(this.track);
    // Words of the limits stand on the side where the cursor is not; the lower of two is written below its line.
    const away = this.minute > this.data.minutes / 2;
    q.lines.forEach((limit, i) => this.word(pen, limit.words, away ? span.left + 4 : span.left + span.width, this.place.y(limit.value) + (i === q.lines.length - 1 ? -4 : 13), c.broken_text, { align: away ? 'left' : 'right' }));
    // Words of a bound stand beside the end of its line, or before its beginning where there is no room.
    for (const item of this.asked()) if (item.spans.length) {
      pen.font = this.font(); pen.lineWidth = 5; pen.lineJoin = 'round'; pen.strokeStyle = c.surface;
      const [from, to] = item.spans.at(-1), wide = pen.measureText(item.words).width, after = this.place.x(to) + 6 + wide <= span.left + span.width;
      const at = after ? this.place.x(to) + 6 : Math.max(span.left + 2, this.place.x(from) - 6 - wide), level = this.place.y(item.value) + (after || at > span.left + 2 ? 4 : 14);
      pen.textAlign = 'left'; pen.strokeText(item.words, at, level); this.word(pen, item.words, at, level, c.broken_text);
    }
    const x = this.place.x(minute), base = this.trackHeight - 26, mine = q.worst[this.data.shown]?.[minute], other = this.data.shown === 'candidate' ? q.worst.today?.[minute] : undefined;
    pen.fillStyle = c.text; pen.fillRect(x - 0.6, 12, 1.2, base - 12);
    const r = this.narrow ? 9 : 6;
    pen.beginPath(); pen.moveTo(x - r, base - 5); pen.lineTo(x + r, base - 5); pen.lineTo(x + r, base + 3); pen.lineTo(x, base + 9); pen.lineTo(x - r, base + 3); pen.closePath(); pen.fill();
    const ink = this.data.shown === 'candidate' ? c.candidate : c.text;
    if (Number.isFinite(mine)) { pen.beginPath(); pen.arc(x, this.place.y(mine), 4, 0, 7); pen.fillStyle = ink; pen.fill(); pen.strokeStyle = c.surface; pen.lineWidth = 1.5; pen.stroke(); }
    const words = [[this.clock(minute), c.text, 600], [shown(mine, q), ink, 600]];
    if (Number.isFinite(other)) words.push([`today ${shown(other, q)}`, c.muted, 400]);
    let total = 0; for (const w of words) { pen.font = this.font(w[2]); total += pen.measureText(w[0]).width + 8; }
    let at = x + 10 + total > span.left + span.width ? x - 10 - total + 8 : x + 10;
    for (const [text, colour, weight] of words) { this.word(pen, text, at, 14, colour, { weight }); at += pen.measureText(text).width + 8; }
    this.track.setAttribute('aria-valuenow', minute); this.track.setAttribute('aria-valuemax', this.data.minutes - 1);
    this.track.setAttribute('aria-valuetext', `${this.clock(minute)}, ${q.worst_words} ${shown(mine, q)}`);
    if (!this.playing && !this.dragging) this.plan.setAttribute('aria-label', `Floor plan, ${q.title} at ${this.clock(minute)}; ${q.worst_words} ${shown(mine, q)}. The Data link holds the table.`);
  }

  leave() { this.stop(); this.watch.disconnect(); document.removeEventListener('intentwin:floor', this.hear); window.removeEventListener('intentwin:t', this.told); clearTimeout(this.late); }
}

export default function ({ data: [data], parentElement, setStateValue }) {
  const root = parentElement.querySelector('.floor');
  let floor = instances.get(root);
  if (!floor) { floor = new Floor(root); instances.set(root, floor); }
  floor.take(data, setStateValue);
  return () => { floor.leave(); instances.delete(root); };
}
