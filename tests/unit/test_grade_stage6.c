/* SPDX-License-Identifier: MIT */
/* test_grade_stage6.c - stage6's checks against its reference and its broken routers. */
#define STAGE "stage6"
#include "grade_matrix.h"
