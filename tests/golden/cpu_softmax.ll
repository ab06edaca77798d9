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
  %v253 = and i64 %v6, -32
  %v292 = icmp slt i64 %v10, %v12
  br i1 %v292, label %pre14, label %exit291
pre14:
  br label %loop15
loop15:
  %i13 = phi i64 [ %v10, %pre14 ], [ %v293, %exit287 ]
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
  %v142 = insertelement <16 x float> poison, float %v119, i64 0
  %v143 = shufflevector <16 x float> %v142, <16 x float> poison, <16 x i32> zeroinitializer
  %v235 = icmp slt i64 0, %v6
  br i1 %v235, label %pre123, label %exit234
pre123:
  br label %loop124
loop124:
  %i120 = phi i64 [ 0, %pre123 ], [ %v236, %exit227 ]
  %c121 = phi <16 x float> [ splat (float 0x0000000000000000), %pre123 ], [ %v232, %exit227 ]
  %c122 = phi <16 x float> [ splat (float 0x0000000000000000), %pre123 ], [ %v233, %exit227 ]
  %v125 = add i64 %i120, 16384
  %v126 = call i64 @llvm.smin.i64(i64 %v125, i64 %v6)
  %v127 = mul i64 %i120, -1
  %v128 = add i64 %v126, %v127
  %v129 = and i64 %v128, -32
  %v130 = add i64 %i120, %v129
  %v187 = icmp slt i64 %i120, %v130
  br i1 %v187, label %pre134, label %exit186
pre134:
  br label %loop135
loop135:
  %i131 = phi i64 [ %i120, %pre134 ], [ %v188, %loop135 ]
  %c132 = phi <16 x float> [ splat (float 0x0000000000000000), %pre134 ], [ %v184, %loop135 ]
  %c133 = phi <16 x float> [ splat (float 0x0000000000000000), %pre134 ], [ %v185, %loop135 ]
  %v136 = add i64 %i131, 16
  %v137 = add i64 %v27, %i131
  %v138 = getelementptr float, ptr %v1, i64 %v137
  %v139 = load <16 x float>, ptr %v138, align 4
  %v140 = getelementptr float, ptr %v138, i64 16
  %v141 = load <16 x float>, ptr %v140, align 4
  %v144 = fsub <16 x float> %v139, %v143
  %v145 = fsub <16 x float> %v141, %v143
  %v146 = fcmp ogt <16 x float> splat (float 0xC05A000000000000), %v144
  %v147 = select <16 x i1> %v146, <16 x float> splat (float 0xC05A000000000000), <16 x float> %v144
  %v148 = fcmp olt <16 x float> splat (float 0x4056400000000000), %v147
  %v149 = select <16 x i1> %v148, <16 x float> splat (float 0x4056400000000000), <16 x float> %v147
  %v150 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v149, <16 x float> splat (float 0x3FF7154760000000), <16 x float> splat (float 0x4168000000000000))
  %v151 = fsub <16 x float> %v150, splat (float 0x4168000000000000)
  %v152 = bitcast <16 x float> %v150 to <16 x i32>
  %v153 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v151, <16 x float> splat (float 0xBFE62E4300000000), <16 x float> %v149)
  %v154 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v151, <16 x float> splat (float 0x3E205C6100000000), <16 x float> %v153)
  %v155 = sub <16 x i32> %v152, splat (i32 1262485504)
  %v156 = fmul <16 x float> %v154, %v154
  %v157 = call <16 x float> @llvm.fma.v16f32(<16 x float> splat (float 0x3F56DB33E0000000), <16 x float> %v154, <16 x float> splat (float 0x3F8123B700000000))
  %v158 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v157, <16 x float> %v154, <16 x float> splat (float 0x3FA55545E0000000))
  %v159 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v158, <16 x float> %v154, <16 x float> splat (float 0x3FC55548E0000000))
  %v160 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v159, <16 x float> %v154, <16 x float> splat (float 0x3FE0000000000000))
  %v161 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v156, <16 x float> %v160, <16 x float> %v154)
  %v162 = fadd <16 x float> %v161, splat (float 0x3FF0000000000000)
  %v163 = call <16 x float> @llvm.ldexp.v16f32.v16i32(<16 x float> %v162, <16 x i32> %v155)
  %v164 = fcmp ogt <16 x float> splat (float 0xC05A000000000000), %v145
  %v165 = select <16 x i1> %v164, <16 x float> splat (float 0xC05A000000000000), <16 x float> %v145
  %v166 = fcmp olt <16 x float> splat (float 0x4056400000000000), %v165
  %v167 = select <16 x i1> %v166, <16 x float> splat (float 0x4056400000000000), <16 x float> %v165
  %v168 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v167, <16 x float> splat (float 0x3FF7154760000000), <16 x float> splat (float 0x4168000000000000))
  %v169 = fsub <16 x float> %v168, splat (float 0x4168000000000000)
  %v170 = bitcast <16 x float> %v168 to <16 x i32>
  %v171 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v169, <16 x float> splat (float 0xBFE62E4300000000), <16 x float> %v167)
  %v172 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v169, <16 x float> splat (float 0x3E205C6100000000), <16 x float> %v171)
  %v173 = sub <16 x i32> %v170, splat (i32 1262485504)
  %v174 = fmul <16 x float> %v172, %v172
  %v175 = call <16 x float> @llvm.fma.v16f32(<16 x float> splat (float 0x3F56DB33E0000000), <16 x float> %v172, <16 x float> splat (float 0x3F8123B700000000))
  %v176 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v175, <16 x float> %v172, <16 x float> splat (float 0x3FA55545E0000000))
  %v177 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v176, <16 x float> %v172, <16 x float> splat (float 0x3FC55548E0000000))
  %v178 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v177, <16 x float> %v172, <16 x float> splat (float 0x3FE0000000000000))
  %v179 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v174, <16 x float> %v178, <16 x float> %v172)
  %v180 = fadd <16 x float> %v179, splat (float 0x3FF0000000000000)
  %v181 = call <16 x float> @llvm.ldexp.v16f32.v16i32(<16 x float> %v180, <16 x i32> %v173)
  %v182 = getelementptr float, ptr %v7, i64 %i131
  store <16 x float> %v163, ptr %v182, align 4
  %v183 = getelementptr float, ptr %v182, i64 16
  store <16 x float> %v181, ptr %v183, align 4
  %v184 = fadd <16 x float> %v163, %c132
  %v185 = fadd <16 x float> %v181, %c133
  %v188 = add nsw i64 %i131, 32
  %v189 = icmp slt i64 %v188, %v130
  br i1 %v189, label %loop135, label %exit186
exit186:
  %v190 = phi <16 x float> [ splat (float 0x0000000000000000), %loop124 ], [ %v184, %loop135 ]
  %v191 = phi <16 x float> [ splat (float 0x0000000000000000), %loop124 ], [ %v185, %loop135 ]
  %v228 = icmp slt i64 %v130, %v126
  br i1 %v228, label %pre194, label %exit227
pre194:
  br label %loop195
loop195:
  %i192 = phi i64 [ %v130, %pre194 ], [ %v229, %loop195 ]
  %c193 = phi <16 x float> [ %v190, %pre194 ], [ %v226, %loop195 ]
  %v196 = sub i64 %v126, %i192
  %v197 = call i64 @llvm.smin.i64(i64 %v196, i64 16)
  %v198 = trunc i64 %v197 to i32
  %v199 = insertelement <16 x i32> poison, i32 %v198, i64 0
  %v200 = shufflevector <16 x i32> %v199, <16 x i32> poison, <16 x i32> zeroinitializer
  %v201 = icmp ult <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>, %v200
  %v202 = add i64 %v27, %i192
  %v203 = getelementptr float, ptr %v1, i64 %v202
  %v204 = call <16 x float> @llvm.masked.load.v16f32.p0(ptr %v203, i32 4, <16 x i1> %v201, <16 x float> zeroinitializer)
  %v205 = fsub <16 x float> %v204, %v143
  %v206 = fcmp ogt <16 x float> splat (float 0xC05A000000000000), %v205
  %v207 = select <16 x i1> %v206, <16 x float> splat (float 0xC05A000000000000), <16 x float> %v205
  %v208 = fcmp olt <16 x float> splat (float 0x4056400000000000), %v207
  %v209 = select <16 x i1> %v208, <16 x float> splat (float 0x4056400000000000), <16 x float> %v207
  %v210 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v209, <16 x float> splat (float 0x3FF7154760000000), <16 x float> splat (float 0x4168000000000000))
  %v211 = fsub <16 x float> %v210, splat (float 0x4168000000000000)
  %v212 = bitcast <16 x float> %v210 to <16 x i32>
  %v213 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v211, <16 x float> splat (float 0xBFE62E4300000000), <16 x float> %v209)
  %v214 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v211, <16 x float> splat (float 0x3E205C6100000000), <16 x float> %v213)
  %v215 = sub <16 x i32> %v212, splat (i32 1262485504)
  %v216 = fmul <16 x float> %v214, %v214
  %v217 = call <16 x float> @llvm.fma.v16f32(<16 x float> splat (float 0x3F56DB33E0000000), <16 x float> %v214, <16 x float> splat (float 0x3F8123B700000000))
  %v218 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v217, <16 x float> %v214, <16 x float> splat (float 0x3FA55545E0000000))
  %v219 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v218, <16 x float> %v214, <16 x float> splat (float 0x3FC55548E0000000))
  %v220 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v219, <16 x float> %v214, <16 x float> splat (float 0x3FE0000000000000))
  %v221 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v216, <16 x float> %v220, <16 x float> %v214)
  %v222 = fadd <16 x float> %v221, splat (float 0x3FF0000000000000)
  %v223 = call <16 x float> @llvm.ldexp.v16f32.v16i32(<16 x float> %v222, <16 x i32> %v215)
  %v224 = getelementptr float, ptr %v7, i64 %i192
  call void @llvm.masked.store.v16f32.p0(<16 x float> %v223, ptr %v224, i32 4, <16 x i1> %v201)
  %v225 = fadd <16 x float> %v223, %c193
  %v226 = select <16 x i1> %v201, <16 x float> %v225, <16 x float> %c193
  %v229 = add nsw i64 %i192, 16
  %v230 = icmp slt i64 %v229, %v126
  br i1 %v230, label %loop195, label %exit227
exit227:
  %v231 = phi <16 x float> [ %v190, %exit186 ], [ %v226, %loop195 ]
  %v232 = fadd <16 x float> %v231, %c121
  %v233 = fadd <16 x float> %v191, %c122
  %v236 = add nsw i64 %i120, 16384
  %v237 = icmp slt i64 %v236, %v6
  br i1 %v237, label %loop124, label %exit234
exit234:
  %v238 = phi <16 x float> [ splat (float 0x0000000000000000), %exit79 ], [ %v232, %exit227 ]
  %v239 = phi <16 x float> [ splat (float 0x0000000000000000), %exit79 ], [ %v233, %exit227 ]
  %v240 = fadd <16 x float> %v238, %v239
  %v241 = shufflevector <16 x float> %v240, <16 x float> poison, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>
  %v242 = shufflevector <16 x float> %v240, <16 x float> poison, <8 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>
  %v243 = fadd <8 x float> %v241, %v242
  %v244 = shufflevector <8 x float> %v243, <8 x float> poison, <4 x i32> <i32 0, i32 1, i32 2, i32 3>
  %v245 = shufflevector <8 x float> %v243, <8 x float> poison, <4 x i32> <i32 4, i32 5, i32 6, i32 7>
  %v246 = fadd <4 x float> %v244, %v245
  %v247 = shufflevector <4 x float> %v246, <4 x float> poison, <2 x i32> <i32 0, i32 1>
  %v248 = shufflevector <4 x float> %v246, <4 x float> poison, <2 x i32> <i32 2, i32 3>
  %v249 = fadd <2 x float> %v247, %v248
  %v250 = extractelement <2 x float> %v249, i64 0
  %v251 = extractelement <2 x float> %v249, i64 1
  %v252 = fadd float %v250, %v251
  %v262 = insertelement <16 x float> poison, float %v252, i64 0
  %v263 = shufflevector <16 x float> %v262, <16 x float> poison, <16 x i32> zeroinitializer
  %v270 = icmp slt i64 0, %v253
  br i1 %v270, label %pre255, label %exit269
pre255:
  br label %loop256
loop256:
  %i254 = phi i64 [ 0, %pre255 ], [ %v271, %loop256 ]
  %v257 = add i64 %i254, 16
  %v258 = getelementptr float, ptr %v7, i64 %i254
  %v259 = load <16 x float>, ptr %v258, align 4
  %v260 = getelementptr float, ptr %v258, i64 16
  %v261 = load <16 x float>, ptr %v260, align 4
  %v264 = fdiv <16 x float> %v259, %v263
  %v265 = fdiv <16 x float> %v261, %v263
  %v266 = add i64 %v27, %i254
  %v267 = getelementptr float, ptr %v3, i64 %v266
  store <16 x float> %v264, ptr %v267, align 4
  %v268 = getelementptr float, ptr %v267, i64 16
  store <16 x float> %v265, ptr %v268, align 4
  %v271 = add nsw i64 %i254, 32
  %v272 = icmp slt i64 %v271, %v253
  br i1 %v272, label %loop256, label %exit269
exit269:
  %v288 = icmp slt i64 %v253, %v6
  br i1 %v288, label %pre274, label %exit287
pre274:
  br label %loop275
loop275:
  %i273 = phi i64 [ %v253, %pre274 ], [ %v289, %loop275 ]
  %v276 = sub i64 %v6, %i273
  %v277 = call i64 @llvm.smin.i64(i64 %v276, i64 16)
  %v278 = trunc i64 %v277 to i32
  %v279 = insertelement <16 x i32> poison, i32 %v278, i64 0
  %v280 = shufflevector <16 x i32> %v279, <16 x i32> poison, <16 x i32> zeroinitializer
  %v281 = icmp ult <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>, %v280
  %v282 = getelementptr float, ptr %v7, i64 %i273
  %v283 = call <16 x float> @llvm.masked.load.v16f32.p0(ptr %v282, i32 4, <16 x i1> %v281, <16 x float> zeroinitializer)
  %v284 = fdiv <16 x float> %v283, %v263
  %v285 = add i64 %v27, %i273
  %v286 = getelementptr float, ptr %v3, i64 %v285
  call void @llvm.masked.store.v16f32.p0(<16 x float> %v284, ptr %v286, i32 4, <16 x i1> %v281)
  %v289 = add nsw i64 %i273, 16
  %v290 = icmp slt i64 %v289, %v6
  br i1 %v290, label %loop275, label %exit287
exit287:
  %v293 = add nsw i64 %i13, 1
  %v294 = icmp slt i64 %v293, %v12
  br i1 %v294, label %loop15, label %exit291
exit291:
  ret i32 0
}

!0 = !{}
