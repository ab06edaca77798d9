declare <16 x float> @llvm.fma.v16f32(<16 x float>, <16 x float>, <16 x float>)
declare <16 x float> @llvm.ldexp.v16f32.v16i32(<16 x float>, <16 x i32>)
declare <16 x float> @llvm.masked.load.v16f32.p0(ptr, i32, <16 x i1>, <16 x float>)
declare i64 @llvm.smin.i64(i64, i64)
declare void @llvm.masked.store.v16f32.p0(<16 x float>, ptr, i32, <16 x i1>)

define i32 @softmax(ptr %args, ptr %sizes, ptr %scalars, ptr %scratch, i64 %thread, i64 %threads) {
entry:
  %v1 = load ptr, ptr %args, !invariant.load !0
  %v2 = getelementptr i8, ptr %args, i64 8
  %v3 = load ptr, ptr %v2, !invariant.load !0
  %v4 = load i64, ptr %sizes, !invariant.load !0
  %v5 = getelementptr i8, ptr %sizes, i64 8
  %v6 = load i64, ptr %v5, !invariant.load !0
  %v7 = getelementptr i8, ptr %scratch, i64 0
  %v8 = add i64 %thread, 1
  %v9 = mul i64 %v4, %thread
  %v10 = udiv i64 %v9, %threads
  %v11 = mul i64 %v4, %v8
  %v12 = udiv i64 %v11, %threads
  %v16 = and i64 %v6, -64
  %v120 = and i64 %v6, -32
  %v273 = icmp slt i64 %v10, %v12
  br i1 %v273, label %pre14, label %exit272
pre14:
  br label %loop15
loop15:
  %i13 = phi i64 [ %v10, %pre14 ], [ %v274, %exit268 ]
  %v27 = mul i64 %v6, %i13
  %v54 = icmp slt i64 0, %v16
  br i1 %v54, label %pre22, label %exit53
pre22:
  br label %loop23
loop23:
  %i17 = phi i64 [ 0, %pre22 ], [ %v55, %loop23 ]
  %c18 = phi <16 x float> [ splat (float 0xFFF0000000000000), %pre22 ], [ %v40, %loop23 ]
  %c19 = phi <16 x float> [ splat (float 0xFFF0000000000000), %pre22 ], [ %v44, %loop23 ]
  %c20 = phi <16 x float> [ splat (float 0xFFF0000000000000), %pre22 ], [ %v48, %loop23 ]
  %c21 = phi <16 x float> [ splat (float 0xFFF0000000000000), %pre22 ], [ %v52, %loop23 ]
  %v24 = add i64 %i17, 16
  %v25 = add i64 %i17, 32
  %v26 = add i64 %i17, 48
  %v28 = add i64 %v27, %i17
  %v29 = getelementptr float, ptr %v1, i64 %v28
  %v30 = load <16 x float>, ptr %v29, align 4
  %v31 = getelementptr float, ptr %v29, i64 16
  %v32 = load <16 x float>, ptr %v31, align 4
  %v33 = getelementptr float, ptr %v29, i64 32
  %v34 = load <16 x float>, ptr %v33, align 4
  %v35 = getelementptr float, ptr %v29, i64 48
  %v36 = load <16 x float>, ptr %v35, align 4
  %v37 = fcmp ogt <16 x float> %v30, %c18
  %v38 = select <16 x i1> %v37, <16 x float> %v30, <16 x float> %c18
  %v39 = fcmp uno <16 x float> %v30, %v30
  %v40 = select <16 x i1> %v39, <16 x float> %v30, <16 x float> %v38
  %v41 = fcmp ogt <16 x float> %v32, %c19
  %v42 = select <16 x i1> %v41, <16 x float> %v32, <16 x float> %c19
  %v43 = fcmp uno <16 x float> %v32, %v32
  %v44 = select <16 x i1> %v43, <16 x float> %v32, <16 x float> %v42
  %v45 = fcmp ogt <16 x float> %v34, %c20
  %v46 = select <16 x i1> %v45, <16 x float> %v34, <16 x float> %c20
  %v47 = fcmp uno <16 x float> %v34, %v34
  %v48 = select <16 x i1> %v47, <16 x float> %v34, <16 x float> %v46
  %v49 = fcmp ogt <16 x float> %v36, %c21
  %v50 = select <16 x i1> %v49, <16 x float> %v36, <16 x float> %c21
  %v51 = fcmp uno <16 x float> %v36, %v36
  %v52 = select <16 x i1> %v51, <16 x float> %v36, <16 x float> %v50
  %v55 = add nsw i64 %i17, 64
  %v56 = icmp slt i64 %v55, %v16
  br i1 %v56, label %loop23, label %exit53
exit53:
  %v57 = phi <16 x float> [ splat (float 0xFFF0000000000000), %loop15 ], [ %v40, %loop23 ]
  %v58 = phi <16 x float> [ splat (float 0xFFF0000000000000), %loop15 ], [ %v44, %loop23 ]
  %v59 = phi <16 x float> [ splat (float 0xFFF0000000000000), %loop15 ], [ %v48, %loop23 ]
  %v60 = phi <16 x float> [ splat (float 0xFFF0000000000000), %loop15 ], [ %v52, %loop23 ]
  %v80 = icmp slt i64 %v16, %v6
  br i1 %v80, label %pre63, label %exit79
pre63:
  br label %loop64
loop64:
  %i61 = phi i64 [ %v16, %pre63 ], [ %v81, %loop64 ]
  %c62 = phi <16 x float> [ %v57, %pre63 ], [ %v78, %loop64 ]
  %v65 = sub i64 %v6, %i61
  %v66 = call i64 @llvm.smin.i64(i64 %v65, i64 16)
  %v67 = trunc i64 %v66 to i32
  %v68 = insertelement <16 x i32> poison, i32 %v67, i64 0
  %v69 = shufflevector <16 x i32> %v68, <16 x i32> poison, <16 x i32> zeroinitializer
  %v70 = icmp ult <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>, %v69
  %v71 = add i64 %v27, %i61
  %v72 = getelementptr float, ptr %v1, i64 %v71
  %v73 = call <16 x float> @llvm.masked.load.v16f32.p0(ptr %v72, i32 4, <16 x i1> %v70, <16 x float> zeroinitializer)
  %v74 = fcmp ogt <16 x float> %v73, %c62
  %v75 = select <16 x i1> %v74, <16 x float> %v73, <16 x float> %c62
  %v76 = fcmp uno <16 x float> %v73, %v73
  %v77 = select <16 x i1> %v76, <16 x float> %v73, <16 x float> %v75
  %v78 = select <16 x i1> %v70, <16 x float> %v77, <16 x float> %c62
  %v81 = add nsw i64 %i61, 16
  %v82 = icmp slt i64 %v81, %v6
  br i1 %v82, label %loop64, label %exit79
exit79:
  %v83 = phi <16 x float> [ %v57, %exit53 ], [ %v78, %loop64 ]
  %v84 = fcmp ogt <16 x float> %v83, %v59
  %v85 = select <16 x i1> %v84, <16 x float> %v83, <16 x float> %v59
  %v86 = fcmp uno <16 x float> %v83, %v83
  %v87 = select <16 x i1> %v86, <16 x float> %v83, <16 x float> %v85
  %v88 = fcmp ogt <16 x float> %v58, %v60
  %v89 = select <16 x i1> %v88, <16 x float> %v58, <16 x float> %v60
  %v90 = fcmp uno <16 x float> %v58, %v58
  %v91 = select <16 x i1> %v90, <16 x float> %v58, <16 x float> %v89
  %v92 = fcmp ogt <16 x float> %v87, %v91
  %v93 = select <16 x i1> %v92, <16 x float> %v87, <16 x float> %v91
  %v94 = fcmp uno <16 x float> %v87, %v87
  %v95 = select <16 x i1> %v94, <16 x float> %v87, <16 x float> %v93
  %v96 = shufflevector <16 x float> %v95, <16 x float> poison, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>
  %v97 = shufflevector <16 x float> %v95, <16 x float> poison, <8 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>
  %v98 = fcmp ogt <8 x float> %v96, %v97
  %v99 = select <8 x i1> %v98, <8 x float> %v96, <8 x float> %v97
  %v100 = fcmp uno <8 x float> %v96, %v96
  %v101 = select <8 x i1> %v100, <8 x float> %v96, <8 x float> %v99
  %v102 = shufflevector <8 x float> %v101, <8 x float> poison, <4 x i32> <i32 0, i32 1, i32 2, i32 3>
  %v103 = shufflevector <8 x float> %v101, <8 x float> poison, <4 x i32> <i32 4, i32 5, i32 6, i32 7>
  %v104 = fcmp ogt <4 x float> %v102, %v103
  %v105 = select <4 x i1> %v104, <4 x float> %v102, <4 x float> %v103
  %v106 = fcmp uno <4 x float> %v102, %v102
  %v107 = select <4 x i1> %v106, <4 x float> %v102, <4 x float> %v105
  %v108 = shufflevector <4 x float> %v107, <4 x float> poison, <2 x i32> <i32 0, i32 1>
  %v109 = shufflevector <4 x float> %v107, <4 x float> poison, <2 x i32> <i32 2, i32 3>
  %v110 = fcmp ogt <2 x float> %v108, %v109
  %v111 = select <2 x i1> %v110, <2 x float> %v108, <2 x float> %v109
  %v112 = fcmp uno <2 x float> %v108, %v108
  %v113 = select <2 x i1> %v112, <2 x float> %v108, <2 x float> %v111
  %v114 = extractelement <2 x float> %v113, i64 0
  %v115 = extractelement <2 x float> %v113, i64 1
  %v116 = fcmp ogt float %v114, %v115
  %v117 = select i1 %v116, float %v114, float %v115
  %v118 = fcmp uno float %v114, %v114
  %v119 = select i1 %v118, float %v114, float %v117
  %v132 = insertelement <16 x float> poison, float %v119, i64 0
  %v133 = shufflevector <16 x float> %v132, <16 x float> poison, <16 x i32> zeroinitializer
  %v177 = icmp slt i64 0, %v120
  br i1 %v177, label %pre124, label %exit176
pre124:
  br label %loop125
loop125:
  %i121 = phi i64 [ 0, %pre124 ], [ %v178, %loop125 ]
  %c122 = phi <16 x float> [ splat (float 0x0000000000000000), %pre124 ], [ %v174, %loop125 ]
  %c123 = phi <16 x float> [ splat (float 0x0000000000000000), %pre124 ], [ %v175, %loop125 ]
  %v126 = add i64 %i121, 16
  %v127 = add i64 %v27, %i121
  %v128 = getelementptr float, ptr %v1, i64 %v127
  %v129 = load <16 x float>, ptr %v128, align 4
  %v130 = getelementptr float, ptr %v128, i64 16
  %v131 = load <16 x float>, ptr %v130, align 4
  %v134 = fsub <16 x float> %v129, %v133
  %v135 = fsub <16 x float> %v131, %v133
  %v136 = fcmp ogt <16 x float> splat (float 0xC05A000000000000), %v134
  %v137 = select <16 x i1> %v136, <16 x float> splat (float 0xC05A000000000000), <16 x float> %v134
  %v138 = fcmp olt <16 x float> splat (float 0x4056400000000000), %v137
  %v139 = select <16 x i1> %v138, <16 x float> splat (float 0x4056400000000000), <16 x float> %v137
  %v140 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v139, <16 x float> splat (float 0x3FF7154760000000), <16 x float> splat (float 0x4168000000000000))
  %v141 = fsub <16 x float> %v140, splat (float 0x4168000000000000)
  %v142 = bitcast <16 x float> %v140 to <16 x i32>
  %v143 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v141, <16 x float> splat (float 0xBFE62E4300000000), <16 x float> %v139)
  %v144 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v141, <16 x float> splat (float 0x3E205C6100000000), <16 x float> %v143)
  %v145 = sub <16 x i32> %v142, splat (i32 1262485504)
  %v146 = fmul <16 x float> %v144, %v144
  %v147 = call <16 x float> @llvm.fma.v16f32(<16 x float> splat (float 0x3F56DB33E0000000), <16 x float> %v144, <16 x float> splat (float 0x3F8123B700000000))
  %v148 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v147, <16 x float> %v144, <16 x float> splat (float 0x3FA55545E0000000))
  %v149 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v148, <16 x float> %v144, <16 x float> splat (float 0x3FC55548E0000000))
  %v150 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v149, <16 x float> %v144, <16 x float> splat (float 0x3FE0000000000000))
  %v151 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v146, <16 x float> %v150, <16 x float> %v144)
  %v152 = fadd <16 x float> %v151, splat (float 0x3FF0000000000000)
  %v153 = call <16 x float> @llvm.ldexp.v16f32.v16i32(<16 x float> %v152, <16 x i32> %v145)
  %v154 = fcmp ogt <16 x float> splat (float 0xC05A000000000000), %v135
  %v155 = select <16 x i1> %v154, <16 x float> splat (float 0xC05A000000000000), <16 x float> %v135
  %v156 = fcmp olt <16 x float> splat (float 0x4056400000000000), %v155
  %v157 = select <16 x i1> %v156, <16 x float> splat (float 0x4056400000000000), <16 x float> %v155
  %v158 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v157, <16 x float> splat (float 0x3FF7154760000000), <16 x float> splat (float 0x4168000000000000))
  %v159 = fsub <16 x float> %v158, splat (float 0x4168000000000000)
  %v160 = bitcast <16 x float> %v158 to <16 x i32>
  %v161 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v159, <16 x float> splat (float 0xBFE62E4300000000), <16 x float> %v157)
  %v162 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v159, <16 x float> splat (float 0x3E205C6100000000), <16 x float> %v161)
  %v163 = sub <16 x i32> %v160, splat (i32 1262485504)
  %v164 = fmul <16 x float> %v162, %v162
  %v165 = call <16 x float> @llvm.fma.v16f32(<16 x float> splat (float 0x3F56DB33E0000000), <16 x float> %v162, <16 x float> splat (float 0x3F8123B700000000))
  %v166 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v165, <16 x float> %v162, <16 x float> splat (float 0x3FA55545E0000000))
  %v167 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v166, <16 x float> %v162, <16 x float> splat (float 0x3FC55548E0000000))
  %v168 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v167, <16 x float> %v162, <16 x float> splat (float 0x3FE0000000000000))
  %v169 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v164, <16 x float> %v168, <16 x float> %v162)
  %v170 = fadd <16 x float> %v169, splat (float 0x3FF0000000000000)
  %v171 = call <16 x float> @llvm.ldexp.v16f32.v16i32(<16 x float> %v170, <16 x i32> %v163)
  %v172 = getelementptr float, ptr %v7, i64 %i121
  store <16 x float> %v153, ptr %v172, align 4
  %v173 = getelementptr float, ptr %v172, i64 16
  store <16 x float> %v171, ptr %v173, align 4
  %v174 = fadd <16 x float> %v153, %c122
  %v175 = fadd <16 x float> %v171, %c123
  %v178 = add nsw i64 %i121, 32
  %v179 = icmp slt i64 %v178, %v120
  br i1 %v179, label %loop125, label %exit176
exit176:
  %v180 = phi <16 x float> [ splat (float 0x0000000000000000), %exit79 ], [ %v174, %loop125 ]
  %v181 = phi <16 x float> [ splat (float 0x0000000000000000), %exit79 ], [ %v175, %loop125 ]
  %v218 = icmp slt i64 %v120, %v6
  br i1 %v218, label %pre184, label %exit217
pre184:
  br label %loop185
loop185:
  %i182 = phi i64 [ %v120, %pre184 ], [ %v219, %loop185 ]
  %c183 = phi <16 x float> [ %v180, %pre184 ], [ %v216, %loop185 ]
  %v186 = sub i64 %v6, %i182
  %v187 = call i64 @llvm.smin.i64(i64 %v186, i64 16)
  %v188 = trunc i64 %v187 to i32
  %v189 = insertelement <16 x i32> poison, i32 %v188, i64 0
  %v190 = shufflevector <16 x i32> %v189, <16 x i32> poison, <16 x i32> zeroinitializer
  %v191 = icmp ult <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>, %v190
  %v192 = add i64 %v27, %i182
  %v193 = getelementptr float, ptr %v1, i64 %v192
  %v194 = call <16 x float> @llvm.masked.load.v16f32.p0(ptr %v193, i32 4, <16 x i1> %v191, <16 x float> zeroinitializer)
  %v195 = fsub <16 x float> %v194, %v133
  %v196 = fcmp ogt <16 x float> splat (float 0xC05A000000000000), %v195
  %v197 = select <16 x i1> %v196, <16 x float> splat (float 0xC05A000000000000), <16 x float> %v195
  %v198 = fcmp olt <16 x float> splat (float 0x4056400000000000), %v197
  %v199 = select <16 x i1> %v198, <16 x float> splat (float 0x4056400000000000), <16 x float> %v197
  %v200 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v199, <16 x float> splat (float 0x3FF7154760000000), <16 x float> splat (float 0x4168000000000000))
  %v201 = fsub <16 x float> %v200, splat (float 0x4168000000000000)
  %v202 = bitcast <16 x float> %v200 to <16 x i32>
  %v203 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v201, <16 x float> splat (float 0xBFE62E4300000000), <16 x float> %v199)
  %v204 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v201, <16 x float> splat (float 0x3E205C6100000000), <16 x float> %v203)
  %v205 = sub <16 x i32> %v202, splat (i32 1262485504)
  %v206 = fmul <16 x float> %v204, %v204
  %v207 = call <16 x float> @llvm.fma.v16f32(<16 x float> splat (float 0x3F56DB33E0000000), <16 x float> %v204, <16 x float> splat (float 0x3F8123B700000000))
  %v208 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v207, <16 x float> %v204, <16 x float> splat (float 0x3FA55545E0000000))
  %v209 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v208, <16 x float> %v204, <16 x float> splat (float 0x3FC55548E0000000))
  %v210 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v209, <16 x float> %v204, <16 x float> splat (float 0x3FE0000000000000))
  %v211 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v206, <16 x float> %v210, <16 x float> %v204)
  %v212 = fadd <16 x float> %v211, splat (float 0x3FF0000000000000)
  %v213 = call <16 x float> @llvm.ldexp.v16f32.v16i32(<16 x float> %v212, <16 x i32> %v205)
  %v214 = getelementptr float, ptr %v7, i64 %i182
  call void @llvm.masked.store.v16f32.p0(<16 x float> %v213, ptr %v214, i32 4, <16 x i1> %v191)
  %v215 = fadd <16 x float> %v213, %c183
  %v216 = select <16 x i1> %v191, <16 x float> %v215, <16 x float> %c183
  %v219 = add nsw i64 %i182, 16
  %v220 = icmp slt i64 %v219, %v6
  br i1 %v220, label %loop185, label %exit217
exit217:
  %v221 = phi <16 x float> [ %v180, %exit176 ], [ %v216, %loop185 ]
  %v222 = fadd <16 x float> %v221, %v181
  %v223 = shufflevector <16 x float> %v222, <16 x float> poison, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>
  %v224 = shufflevector <16 x float> %v222, <16 x float> poison, <8 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>
  %v225 = fadd <8 x float> %v223, %v224
  %v226 = shufflevector <8 x float> %v225, <8 x float> poison, <4 x i32> <i32 0, i32 1, i32 2, i32 3>
  %v227 = shufflevector <8 x float> %v225, <8 x float> poison, <4 x i32> <i32 4, i32 5, i32 6, i32 7>
  %v228 = fadd <4 x float> %v226, %v227
  %v229 = shufflevector <4 x float> %v228, <4 x float> poison, <2 x i32> <i32 0, i32 1>
  %v230 = shufflevector <4 x float> %v228, <4 x float> poison, <2 x i32> <i32 2, i32 3>
  %v231 = fadd <2 x float> %v229, %v230
  %v232 = extractelement <2 x float> %v231, i64 0
  %v233 = extractelement <2 x float> %v231, i64 1
  %v234 = fadd float %v232, %v233
  %v243 = insertelement <16 x float> poison, float %v234, i64 0
  %v244 = shufflevector <16 x float> %v243, <16 x float> poison, <16 x i32> zeroinitializer
  %v251 = icmp slt i64 0, %v120
  br i1 %v251, label %pre236, label %exit250
pre236:
  br label %loop237
loop237:
  %i235 = phi i64 [ 0, %pre236 ], [ %v252, %loop237 ]
  %v238 = add i64 %i235, 16
  %v239 = getelementptr float, ptr %v7, i64 %i235
  %v240 = load <16 x float>, ptr %v239, align 4
  %v241 = getelementptr float, ptr %v239, i64 16
  %v242 = load <16 x float>, ptr %v241, align 4
  %v245 = fdiv <16 x float> %v240, %v244
  %v246 = fdiv <16 x float> %v242, %v244
  %v247 = add i64 %v27, %i235
  %v248 = getelementptr float, ptr %v3, i64 %v247
  store <16 x float> %v245, ptr %v248, align 4
  %v249 = getelementptr float, ptr %v248, i64 16
  store <16 x float> %v246, ptr %v249, align 4
  %v252 = add nsw i64 %i235, 32
  %v253 = icmp slt i64 %v252, %v120
  br i1 %v253, label %loop237, label %exit250
exit250:
  %v269 = icmp slt i64 %v120, %v6
  br i1 %v269, label %pre255, label %exit268
pre255:
  br label %loop256
loop256:
  %i254 = phi i64 [ %v120, %pre255 ], [ %v270, %loop256 ]
  %v257 = sub i64 %v6, %i254
  %v258 = call i64 @llvm.smin.i64(i64 %v257, i64 16)
  %v259 = trunc i64 %v258 to i32
  %v260 = insertelement <16 x i32> poison, i32 %v259, i64 0
  %v261 = shufflevector <16 x i32> %v260, <16 x i32> poison, <16 x i32> zeroinitializer
  %v262 = icmp ult <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>, %v261
  %v263 = getelementptr float, ptr %v7, i64 %i254
  %v264 = call <16 x float> @llvm.masked.load.v16f32.p0(ptr %v263, i32 4, <16 x i1> %v262, <16 x float> zeroinitializer)
  %v265 = fdiv <16 x float> %v264, %v244
  %v266 = add i64 %v27, %i254
  %v267 = getelementptr float, ptr %v3, i64 %v266
  call void @llvm.masked.store.v16f32.p0(<16 x float> %v265, ptr %v267, i32 4, <16 x i1> %v262)
  %v270 = add nsw i64 %i254, 16
  %v271 = icmp slt i64 %v270, %v6
  br i1 %v271, label %loop256, label %exit268
exit268:
  %v274 = add nsw i64 %i13, 1
  %v275 = icmp slt i64 %v274, %v12
  br i1 %v275, label %loop15, label %exit272
exit272:
  ret i32 0
}

!0 = !{}
