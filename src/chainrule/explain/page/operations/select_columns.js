// y[j] = x[columns[j]], for each row.

OPERATIONS.select_columns = rowwise(
  ({ x, selected, y }, begin, yBegin) => selected.forEach((column, j) => { y[yBegin + j] = x[begin + column]; }),
  ({ selected, dy, dx }, begin, yBegin) => selected.forEach((column, j) => { dx[begin + column] += dy[yBegin + j]; }),
);
