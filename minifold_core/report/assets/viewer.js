"use strict";
// The 3-D view: Cα traces of one chain at a time, drawn by 3Dmol.
(() => {
  const place = document.getElementById("viewer");
  const chooser = document.getElementById("viewer-chain");
  const boxes = [...document.querySelectorAll(".viewer-bar input[type=checkbox]")];
  const chains = JSON.parse(document.getElementById("structures").textContent);
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const theme = () => root.dataset.theme || (system.matches ? "dark" : "light");
  const failed = document.getElementById("viewer-failed");

  let viewer = null;
  try {
    const probe = document.createElement("canvas");
    if (probe.getContext("webgl2") || probe.getContext("webgl"))
      viewer = $3Dmol.createViewer(place, { backgroundAlpha: 0, disableFog: true, antialias: true });
  } catch (error) {
    failed.textContent = `This browser draws no WebGL (${error}).`;
  }
  if (!viewer) return;
  failed.remove();

  const paint = () => {
    boxes.forEach((box) => {
      const model = viewer.getModel(Number(box.value));
      if (!model) return;
      const color = chains[chooser.value].traces[box.value].colour[theme()];
      const thickness = Number(box.value) === 0 ? 0.6 : 0.4;
      model.setStyle({}, box.checked ? { cartoon: { style: "trace", color, thickness } } : {});
    });
    viewer.render();
    place.dataset.drawn = chains[chooser.value].name;
  };

  const show = () => {
    const chain = chains[chooser.value];
    viewer.removeAllModels();
    for (const trace of chain.traces) {
      const atoms = trace.ca.map(([x, y, z], at) => ({
        x, y, z, serial: at + 1, atom: "CA", elem: "C", resn: "ALA", resi: chain.residues[at],
        chain: "A", hetflag: false, bonds: [], bondOrder: [], properties: {},
      }));
      viewer.addModel().addAtoms(atoms);
    }
    fit();
    paint();
  };

  // As near as what is shown allows: the default leaves room for a sphere around it.
  const fit = () => {
    const shown = boxes.filter((box) => box.checked).map((box) => viewer.getModel(Number(box.value)));
    viewer.zoomTo(shown.length ? { model: shown } : {});
    viewer.zoom(1.25);
  };

  chooser.addEventListener("change", show);
  boxes.forEach((box) => box.addEventListener("change", () => { fit(); paint(); }));
  // Without Ctrl the wheel scrolls the page, as everywhere else.
  place.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) event.stopImmediatePropagation();
  }, { capture: true, passive: true });
  document.getElementById("viewer-reset").addEventListener("click", () => {
    viewer.setView([0, 0, 0, 0, 0, 0, 0, 1]);
    fit();
    viewer.render();
  });
  root.addEventListener("theme", paint);
  show();
})();
