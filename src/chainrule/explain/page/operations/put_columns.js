// x becomes the columns of y that begin at `column`; several steps fill all of it.

OPERATIONS.put_columns = rowwise(
  ({ x, y, column, columns }, begin, yBegin) => {
    for (let j = 0; j < columns; j += 1) y[yBegin + column + j] = x[begin + j];
  },
  ({ dy, dx, column, columns }, begin, yBegin) => {
    for (let j = 0; j < columns; j += 1) dx[begin + j] += dy[yBegin + column + j];
  },
);
