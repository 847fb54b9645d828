/* SPDX-License-Identifier: MIT */
/* test_grade_manners3.c - stage3's checks against correct routers in other manners. */
#define STAGE "stage3"
#define MANNERS
#include "grade_matrix.h"
