// Speech: records from the microphone and sends 16 kHz mono WAV, which every provider takes; plays what was spoken.
(() => {
  "use strict";
  const { root, texts, fill, call, note, footer, Failed } = window.playground || {};
  if (!root) return;
  const RATE = 16000;
  const LONGEST = 600; // seconds: 19 MB of WAV, below the limit of an upload
  const time = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

  // What both halves of the page share: one call at a time, Stop, the seconds, the problem.
  function work(form, { stop, status, problem, counting }) {
    let running = null;
    stop.addEventListener("click", () => running && running.abort());
    return async (model, job) => {
      if (running) return;
      running = new AbortController();
      const began = performance.now();
      const seconds = () => (performance.now() - began) / 1000;
      const buttons = [...form.querySelectorAll("button[type=submit], #record")];
      problem.replaceChildren();
      buttons.forEach((button) => { button.disabled = true; });
      stop.hidden = false;
      const clock = setInterval(() => { if (seconds() >= 1) status.textContent = fill(counting, { n: Math.round(seconds()) }); }, 1000);
      try {
        status.textContent = texts.waiting;
        await job(running.signal, seconds);
      } catch (error) {
        status.textContent = running.signal.aborted ? texts.stopped : "";
        if (!running.signal.aborted) problem.replaceChildren(note(error instanceof Failed ? error.problem : texts.broken, model));
      } finally {
        clearInterval(clock);
        running = null;
        stop.hidden = true;
        buttons.forEach((button) => { button.disabled = false; });
      }
    };
  }
  const id = (name) => document.getElementById(name);

  // --- Speech to text ------------------------------------------------------------------------------
  const hear = id("hear");
  if (hear) {
    const status = id("hear-status");
    const run = work(hear, { stop: id("hear-stop"), status, problem: id("hear-problem"), counting: texts.hearing });
    const model = hear.elements.model.value;
    hear.removeAttribute("data-busy");

    const transcribe = (file, name) => run(model, async (signal, seconds) => {
      id("transcript").hidden = true; // what an earlier recording said
      if (file.size > texts.limit) throw new Failed(texts.too_large);
      const body = new FormData();
      body.append("model", model);
      body.append("file", file, name);
      const response = await call("audio.transcriptions", body, signal);
      const type = response.headers.get("content-type") || "";
      const answer = type.startsWith("application/json") ? await response.json() : { text: await response.text() };
      const text = String(answer.text ?? "");
      id("transcript-text").textContent = text || texts.empty;
      id("transcript-message").value = text;
      id("transcript-footer").textContent = footer(response, answer.usage, seconds());
      id("transcript").hidden = false;
      status.textContent = texts.transcribed;
    });
    hear.addEventListener("submit", (event) => {
      const [file] = hear.elements.file.files;
      if (!file) return; // the browser says that a file is missing
      event.preventDefault();
      transcribe(file, file.name);
    });
    recorder(transcribe, hear.querySelector("button[type=submit]"));
  }

  function recorder(transcribe, send) {
    const status = id("record-status");
    const [record, finish, discard] = ["record", "finish", "discard"].map(id);
    const excuse = (text) => {
      const place = id("no-recorder");
      place.textContent = text;
      place.hidden = false;
      id("recorder").removeAttribute("data-soon"); // its place is the excuse's now
    };
    if (!window.isSecureContext) { excuse(texts.unsafe); return; }
    if (!navigator.mediaDevices || !window.MediaRecorder || !window.AudioContext) { excuse(texts.unsupported); return; }
    id("recorder").hidden = false;
    let current = null;

    const show = (on) => { record.hidden = send.disabled = on; finish.hidden = discard.hidden = !on; };
    async function start() {
      let stream;
      try {
        stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
      } catch (error) {
        status.textContent = "";
        excuse({ NotFoundError: texts.none, NotReadableError: texts.busy }[error.name] || texts.refused);
        return;
      }
      id("no-recorder").hidden = true;
      const pieces = [];
      const media = new MediaRecorder(stream);
      media.addEventListener("dataavailable", (event) => pieces.push(event.data));
      media.start();
      const context = new AudioContext();
      const analyser = context.createAnalyser();
      context.createMediaStreamSource(stream).connect(analyser);
      const began = performance.now();
      const seconds = () => (performance.now() - began) / 1000;
      current = { media, pieces, stream, context, seconds };
      current.clock = setInterval(() => {
        status.textContent = fill(texts.listening, { time: time(seconds()), level: level(analyser) });
        if (seconds() >= LONGEST) end(true);
      }, 500);
      show(true);
      finish.focus();
    }
    // The level as a word that a screen reader can say: silence, or percent.
    function level(analyser) {
      const samples = new Float32Array(analyser.fftSize);
      analyser.getFloatTimeDomainData(samples);
      const loudest = samples.reduce((most, one) => Math.max(most, Math.abs(one)), 0);
      return loudest < 0.01 ? texts.silent : fill(texts.level, { n: Math.min(100, Math.round(loudest * 100)) });
    }
    async function end(wanted) {
      const { media, pieces, stream, context, clock, seconds } = current;
      const length = seconds();
      current = null;
      clearInterval(clock);
      show(false);
      record.focus();
      const over = new Promise((resolve) => media.addEventListener("stop", resolve));
      media.stop();
      await over;
      stream.getTracks().forEach((track) => track.stop());
      await context.close();
      status.textContent = "";
      if (!wanted) return;
      const wav = await toWav(new Blob(pieces));
      id("hear-status").textContent = fill(texts.recorded, { time: time(length), size: Math.ceil(wav.size / 1024) });
      await transcribe(wav, "recording.wav");
    }
    record.addEventListener("click", start);
    finish.addEventListener("click", () => current && end(true));
    discard.addEventListener("click", () => current && end(false));
  }

  // Whatever the browser recorded, as 16 kHz mono PCM in a WAV file.
  async function toWav(blob) {
    const context = new OfflineAudioContext(1, 1, RATE);
    const decoded = await context.decodeAudioData(await blob.arrayBuffer());
    const offline = new OfflineAudioContext(1, Math.max(1, Math.ceil(decoded.duration * RATE)), RATE);
    const source = offline.createBufferSource();
    source.buffer = decoded;
    source.connect(offline.destination);
    source.start();
    const samples = (await offline.startRendering()).getChannelData(0);
    const bytes = new DataView(new ArrayBuffer(44 + samples.length * 2));
    const word = (at, text) => [...text].forEach((letter, number) => bytes.setUint8(at + number, letter.charCodeAt(0)));
    word(0, "RIFF"); bytes.setUint32(4, 36 + samples.length * 2, true); word(8, "WAVEfmt ");
    bytes.setUint32(16, 16, true); bytes.setUint16(20, 1, true); bytes.setUint16(22, 1, true);
    bytes.setUint32(24, RATE, true); bytes.setUint32(28, RATE * 2, true); bytes.setUint16(32, 2, true); bytes.setUint16(34, 16, true);
    word(36, "data"); bytes.setUint32(40, samples.length * 2, true);
    samples.forEach((value, number) => {
      const limited = Math.max(-1, Math.min(1, value));
      bytes.setInt16(44 + number * 2, limited < 0 ? limited * 0x8000 : limited * 0x7fff, true);
    });
    return new Blob([bytes], { type: "audio/wav" });
  }

  // --- Text to speech ------------------------------------------------------------------------------
  const speak = id("speak");
  if (speak) {
    const status = id("speak-status");
    const player = id("player");
    const run = work(speak, { stop: id("speak-stop"), status, problem: id("speak-problem"), counting: texts.speaking });
    let address = "";
    speak.addEventListener("submit", (event) => {
      event.preventDefault();
      const model = speak.elements.model.value;
      const body = { model, input: speak.elements.input.value };
      if (speak.elements.voice.value.trim()) body.voice = speak.elements.voice.value.trim();
      if (speak.elements.response_format.value) body.response_format = speak.elements.response_format.value;
      run(model, async (signal, seconds) => {
        id("sound").hidden = true; // what was spoken before
        player.pause();
        const response = await call("audio.speech", body, signal);
        const type = (response.headers.get("content-type") || "").split(";")[0];
        const sound = new Blob([await response.arrayBuffer()], { type: type.startsWith("audio/") ? type : "application/octet-stream" });
        if (address) URL.revokeObjectURL(address);
        address = URL.createObjectURL(sound);
        player.src = address;
        const save = id("save");
        save.href = address;
        save.download = `speech.${{ "audio/mpeg": "mp3", "audio/wav": "wav", "audio/x-wav": "wav", "audio/ogg": "ogg", "audio/aac": "aac", "audio/flac": "flac" }[type] || "audio"}`;
        id("speak-footer").textContent = footer(response, null, seconds());
        id("sound").hidden = false;
        status.textContent = fill(texts.spoken, { size: Math.ceil(sound.size / 1024) });
      });
    });
    player.addEventListener("error", () => { if (address) status.textContent = texts.unplayable; });
  }
})();
