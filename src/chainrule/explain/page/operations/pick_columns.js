// y[j] = x[columns[j]], for each row.

OPERATIONS.pick_columns = rowwise(
  ({ x, picked, y }, begin, yBegin) => picked.forEach((column, j) => { y[yBegin + j] = x[begin + column]; }),
  ({ picked, dy, dx }, begin, yBegin) => picked.forEach((column, j) => { dx[begin + column] += dy[yBegin + j]; }),
);
