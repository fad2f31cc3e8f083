// Shows the minimum that was clicked: what the page holds of it, and in words what it does not.
// Arguments: minima, details, threshold, heading, table, views, measures, notes, words.

const selected = minima.selected.indices
const row = selected.length ? selected[0] : -1
const facts = minima.data
const at = row < 0 ? -1 : facts.detail[row]
const of = (name) => at < 0 || !(name in details.data) ? [] : details.data[name][at]

const others = selected.length > 1 ? ` (the first of the ${selected.length} chosen)` : ""
heading.text = row < 0
  ? words.nothing
  : `${facts.recipe[row]}, ${facts.model[row]} on ${facts.dataset[row]}, ` +
    `${facts.train_size[row]} examples, seed ${facts.seed[row]}${others}`

function say(name, is_there) {
  const {drawn, unasked, missing, is_asked} = words[name]
  if (row < 0) notes[name].text = ""
  else if (!is_asked) notes[name].text = unasked
  else if (at < 0) notes[name].text = words.left_out
  else if (!is_there) notes[name].text = `${missing} (training: ${facts.training_status[row]}).`
  else notes[name].text = drawn
}

// The data of each view's parts; the places of a grid are the same for all minima and stay.
const parts = {
  boundary: {
    image: {image: [of("boundary")]},
    line: {x: of("boundary_x"), y: of("boundary_y")},
    points: {x: of("point_x"), y: of("point_y"), label: of("point_class")},
  },
  plane: {
    image: {image: [of("plane")]},
    line: {x: of(`plane_x${threshold.value}`), y: of(`plane_y${threshold.value}`)},
  },
  spectrum: {
    own: {x: of("spectrum_x"), y: of("spectrum_y")},
    test: {x: of("test_spectrum_x"), y: of("test_spectrum_y")},
  },
  curve: {line: {x: of("epoch"), y: of("curve")}},
}
const is_there = {
  boundary: of("boundary").length > 0,
  plane: of("plane").length > 0,
  spectrum: of("spectrum_x").length > 0 || of("test_spectrum_x").length > 0,
  curve: of("curve").length > 0,
}
for (const [name, view] of Object.entries(views)) {
  if (is_there[name]) {
    for (const [part, source] of Object.entries(view.sources)) {
      source.data = {...source.data, ...parts[name][part]}
    }
  }
  view.plot.visible = is_there[name]
  say(name, is_there[name])
}

const values = Array.from(of("flatness"))
const lines = [...values.keys()].filter((line) => Number.isFinite(values[line]))
table.source.data = {
  name: lines.map((line) => measures.names[line]),
  value: lines.map((line) => values[line]),
  error: lines.map((line) => of("error")[line]),
  unit: lines.map((line) => measures.units[line]),
}
table.visible = lines.length > 0
say("flatness", lines.length > 0)
