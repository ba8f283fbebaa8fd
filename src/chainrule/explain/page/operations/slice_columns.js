// y is the columns of x that begin at `column`.

OPERATIONS.slice_columns = rowwise(
  ({ x, y, column, yColumns }, begin, yBegin) => {
    for (let j = 0; j < yColumns; j += 1) y[yBegin + j] = x[begin + column + j];
  },
  ({ dy, dx, column, yColumns }, begin, yBegin) => {
    for (let j = 0; j < yColumns; j += 1) dx[begin + column + j] += dy[yBegin + j];
  },
);
