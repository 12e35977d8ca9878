// The numbers of a vector where they can be seen: which of them is under the pointer. Read paint.js next.

/** The mark with `dimension`, where its vector is drawn and the point is on one of its numbers. */
export function dimensionAt(mark, [x, y], scene) {
  const cell = mark.type === "piece" ? inputOf(mark, x, scene.layout) : mark.cell;
  const picture = cell && scene.shownVectors(cell);
  if (!picture) return mark;
  const {row: height, stacks} = scene.layout;
  const top = stacks[mark.stack].top + mark.row * height;
  const column = Math.floor(((x - cell.x) / cell.width) * picture.columns);
  const row = Math.floor(((y - top) / height) * picture.rows);
  const dimension = row * picture.columns + column;
  if (column < 0 || column >= picture.columns || row < 0 || dimension >= picture.width) return mark;
  return {...mark, cell, dimension};
}

function inputOf({stack}, x, layout) {
  const [cell] = layout.stacks[stack].cells;
  return x >= cell.x && x < cell.x + cell.width ? cell : null;
}
