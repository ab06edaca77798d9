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
  %v13 = call i64 @llvm.smin.i64(i64 %v10, i64 %v4)
  %v14 = call i64 @llvm.smin.i64(i64 %v12, i64 %v4)
  %v18 = and i64 %v6, -64
  %v255 = and i64 %v6, -32
  %v294 = icmp slt i64 %v13, %v14
  br i1 %v294, label %pre16, label %exit293
pre16:
  br label %loop17
loop17:
  %i15 = phi i64 [ %v13, %pre16 ], [ %v295, %exit289 ]
  %v29 = mul i64 %v6, %i15
  %v56 = icmp slt i64 0, %v18
  br i1 %v56, label %pre24, label %exit55
pre24:
  br label %loop25
loop25:
  %i19 = phi i64 [ 0, %pre24 ], [ %v57, %loop25 ]
  %c20 = phi <16 x float> [ splat (float 0xFFF0000000000000), %pre24 ], [ %v42, %loop25 ]
  %c21 = phi <16 x float> [ splat (float 0xFFF0000000000000), %pre24 ], [ %v46, %loop25 ]
  %c22 = phi <16 x float> [ splat (float 0xFFF0000000000000), %pre24 ], [ %v50, %loop25 ]
  %c23 = phi <16 x float> [ splat (float 0xFFF0000000000000), %pre24 ], [ %v54, %loop25 ]
  %v26 = add i64 %i19, 16
  %v27 = add i64 %i19, 32
  %v28 = add i64 %i19, 48
  %v30 = add i64 %v29, %i19
  %v31 = getelementptr float, ptr %v1, i64 %v30
  %v32 = load <16 x float>, ptr %v31, align 4
  %v33 = getelementptr float, ptr %v31, i64 16
  %v34 = load <16 x float>, ptr %v33, align 4
  %v35 = getelementptr float, ptr %v31, i64 32
  %v36 = load <16 x float>, ptr %v35, align 4
  %v37 = getelementptr float, ptr %v31, i64 48
  %v38 = load <16 x float>, ptr %v37, align 4
  %v39 = fcmp ogt <16 x float> %v32, %c20
  %v40 = select <16 x i1> %v39, <16 x float> %v32, <16 x float> %c20
  %v41 = fcmp uno <16 x float> %v32, %v32
  %v42 = select <16 x i1> %v41, <16 x float> %v32, <16 x float> %v40
  %v43 = fcmp ogt <16 x float> %v34, %c21
  %v44 = select <16 x i1> %v43, <16 x float> %v34, <16 x float> %c21
  %v45 = fcmp uno <16 x float> %v34, %v34
  %v46 = select <16 x i1> %v45, <16 x float> %v34, <16 x float> %v44
  %v47 = fcmp ogt <16 x float> %v36, %c22
  %v48 = select <16 x i1> %v47, <16 x float> %v36, <16 x float> %c22
  %v49 = fcmp uno <16 x float> %v36, %v36
  %v50 = select <16 x i1> %v49, <16 x float> %v36, <16 x float> %v48
  %v51 = fcmp ogt <16 x float> %v38, %c23
  %v52 = select <16 x i1> %v51, <16 x float> %v38, <16 x float> %c23
  %v53 = fcmp uno <16 x float> %v38, %v38
  %v54 = select <16 x i1> %v53, <16 x float> %v38, <16 x float> %v52
  %v57 = add nsw i64 %i19, 64
  %v58 = icmp slt i64 %v57, %v18
  br i1 %v58, label %loop25, label %exit55
exit55:
  %v59 = phi <16 x float> [ splat (float 0xFFF0000000000000), %loop17 ], [ %v42, %loop25 ]
  %v60 = phi <16 x float> [ splat (float 0xFFF0000000000000), %loop17 ], [ %v46, %loop25 ]
  %v61 = phi <16 x float> [ splat (float 0xFFF0000000000000), %loop17 ], [ %v50, %loop25 ]
  %v62 = phi <16 x float> [ splat (float 0xFFF0000000000000), %loop17 ], [ %v54, %loop25 ]
  %v82 = icmp slt i64 %v18, %v6
  br i1 %v82, label %pre65, label %exit81
pre65:
  br label %loop66
loop66:
  %i63 = phi i64 [ %v18, %pre65 ], [ %v83, %loop66 ]
  %c64 = phi <16 x float> [ %v59, %pre65 ], [ %v80, %loop66 ]
  %v67 = sub i64 %v6, %i63
  %v68 = call i64 @llvm.smin.i64(i64 %v67, i64 16)
  %v69 = trunc i64 %v68 to i32
  %v70 = insertelement <16 x i32> poison, i32 %v69, i64 0
  %v71 = shufflevector <16 x i32> %v70, <16 x i32> poison, <16 x i32> zeroinitializer
  %v72 = icmp ult <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>, %v71
  %v73 = add i64 %v29, %i63
  %v74 = getelementptr float, ptr %v1, i64 %v73
  %v75 = call <16 x float> @llvm.masked.load.v16f32.p0(ptr %v74, i32 4, <16 x i1> %v72, <16 x float> zeroinitializer)
  %v76 = fcmp ogt <16 x float> %v75, %c64
  %v77 = select <16 x i1> %v76, <16 x float> %v75, <16 x float> %c64
  %v78 = fcmp uno <16 x float> %v75, %v75
  %v79 = select <16 x i1> %v78, <16 x float> %v75, <16 x float> %v77
  %v80 = select <16 x i1> %v72, <16 x float> %v79, <16 x float> %c64
  %v83 = add nsw i64 %i63, 16
  %v84 = icmp slt i64 %v83, %v6
  br i1 %v84, label %loop66, label %exit81
exit81:
  %v85 = phi <16 x float> [ %v59, %exit55 ], [ %v80, %loop66 ]
  %v86 = fcmp ogt <16 x float> %v85, %v61
  %v87 = select <16 x i1> %v86, <16 x float> %v85, <16 x float> %v61
  %v88 = fcmp uno <16 x float> %v85, %v85
  %v89 = select <16 x i1> %v88, <16 x float> %v85, <16 x float> %v87
  %v90 = fcmp ogt <16 x float> %v60, %v62
  %v91 = select <16 x i1> %v90, <16 x float> %v60, <16 x float> %v62
  %v92 = fcmp uno <16 x float> %v60, %v60
  %v93 = select <16 x i1> %v92, <16 x float> %v60, <16 x float> %v91
  %v94 = fcmp ogt <16 x float> %v89, %v93
  %v95 = select <16 x i1> %v94, <16 x float> %v89, <16 x float> %v93
  %v96 = fcmp uno <16 x float> %v89, %v89
  %v97 = select <16 x i1> %v96, <16 x float> %v89, <16 x float> %v95
  %v98 = shufflevector <16 x float> %v97, <16 x float> poison, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>
  %v99 = shufflevector <16 x float> %v97, <16 x float> poison, <8 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>
  %v100 = fcmp ogt <8 x float> %v98, %v99
  %v101 = select <8 x i1> %v100, <8 x float> %v98, <8 x float> %v99
  %v102 = fcmp uno <8 x float> %v98, %v98
  %v103 = select <8 x i1> %v102, <8 x float> %v98, <8 x float> %v101
  %v104 = shufflevector <8 x float> %v103, <8 x float> poison, <4 x i32> <i32 0, i32 1, i32 2, i32 3>
  %v105 = shufflevector <8 x float> %v103, <8 x float> poison, <4 x i32> <i32 4, i32 5, i32 6, i32 7>
  %v106 = fcmp ogt <4 x float> %v104, %v105
  %v107 = select <4 x i1> %v106, <4 x float> %v104, <4 x float> %v105
  %v108 = fcmp uno <4 x float> %v104, %v104
  %v109 = select <4 x i1> %v108, <4 x float> %v104, <4 x float> %v107
  %v110 = shufflevector <4 x float> %v109, <4 x float> poison, <2 x i32> <i32 0, i32 1>
  %v111 = shufflevector <4 x float> %v109, <4 x float> poison, <2 x i32> <i32 2, i32 3>
  %v112 = fcmp ogt <2 x float> %v110, %v111
  %v113 = select <2 x i1> %v112, <2 x float> %v110, <2 x float> %v111
  %v114 = fcmp uno <2 x float> %v110, %v110
  %v115 = select <2 x i1> %v114, <2 x float> %v110, <2 x float> %v113
  %v116 = extractelement <2 x float> %v115, i64 0
  %v117 = extractelement <2 x float> %v115, i64 1
  %v118 = fcmp ogt float %v116, %v117
  %v119 = select i1 %v118, float %v116, float %v117
  %v120 = fcmp uno float %v116, %v116
  %v121 = select i1 %v120, float %v116, float %v119
  %v144 = insertelement <16 x float> poison, float %v121, i64 0
  %v145 = shufflevector <16 x float> %v144, <16 x float> poison, <16 x i32> zeroinitializer
  %v237 = icmp slt i64 0, %v6
  br i1 %v237, label %pre125, label %exit236
pre125:
  br label %loop126
loop126:
  %i122 = phi i64 [ 0, %pre125 ], [ %v238, %exit229 ]
  %c123 = phi <16 x float> [ splat (float 0x0000000000000000), %pre125 ], [ %v234, %exit229 ]
  %c124 = phi <16 x float> [ splat (float 0x0000000000000000), %pre125 ], [ %v235, %exit229 ]
  %v127 = add i64 %i122, 16384
  %v128 = call i64 @llvm.smin.i64(i64 %v127, i64 %v6)
  %v129 = mul i64 %i122, -1
  %v130 = add i64 %v128, %v129
  %v131 = and i64 %v130, -32
  %v132 = add i64 %i122, %v131
  %v189 = icmp slt i64 %i122, %v132
  br i1 %v189, label %pre136, label %exit188
pre136:
  br label %loop137
loop137:
  %i133 = phi i64 [ %i122, %pre136 ], [ %v190, %loop137 ]
  %c134 = phi <16 x float> [ splat (float 0x0000000000000000), %pre136 ], [ %v186, %loop137 ]
  %c135 = phi <16 x float> [ splat (float 0x0000000000000000), %pre136 ], [ %v187, %loop137 ]
  %v138 = add i64 %i133, 16
  %v139 = add i64 %v29, %i133
  %v140 = getelementptr float, ptr %v1, i64 %v139
  %v141 = load <16 x float>, ptr %v140, align 4
  %v142 = getelementptr float, ptr %v140, i64 16
  %v143 = load <16 x float>, ptr %v142, align 4
  %v146 = fsub <16 x float> %v141, %v145
  %v147 = fsub <16 x float> %v143, %v145
  %v148 = fcmp ogt <16 x float> splat (float 0xC05A000000000000), %v146
  %v149 = select <16 x i1> %v148, <16 x float> splat (float 0xC05A000000000000), <16 x float> %v146
  %v150 = fcmp olt <16 x float> splat (float 0x4056400000000000), %v149
  %v151 = select <16 x i1> %v150, <16 x float> splat (float 0x4056400000000000), <16 x float> %v149
  %v152 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v151, <16 x float> splat (float 0x3FF7154760000000), <16 x float> splat (float 0x4168000000000000))
  %v153 = fsub <16 x float> %v152, splat (float 0x4168000000000000)
  %v154 = bitcast <16 x float> %v152 to <16 x i32>
  %v155 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v153, <16 x float> splat (float 0xBFE62E4300000000), <16 x float> %v151)
  %v156 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v153, <16 x float> splat (float 0x3E205C6100000000), <16 x float> %v155)
  %v157 = sub <16 x i32> %v154, splat (i32 1262485504)
  %v158 = fmul <16 x float> %v156, %v156
  %v159 = call <16 x float> @llvm.fma.v16f32(<16 x float> splat (float 0x3F56DB33E0000000), <16 x float> %v156, <16 x float> splat (float 0x3F8123B700000000))
  %v160 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v159, <16 x float> %v156, <16 x float> splat (float 0x3FA55545E0000000))
  %v161 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v160, <16 x float> %v156, <16 x float> splat (float 0x3FC55548E0000000))
  %v162 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v161, <16 x float> %v156, <16 x float> splat (float 0x3FE0000000000000))
  %v163 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v158, <16 x float> %v162, <16 x float> %v156)
  %v164 = fadd <16 x float> %v163, splat (float 0x3FF0000000000000)
  %v165 = call <16 x float> @llvm.ldexp.v16f32.v16i32(<16 x float> %v164, <16 x i32> %v157)
  %v166 = fcmp ogt <16 x float> splat (float 0xC05A000000000000), %v147
  %v167 = select <16 x i1> %v166, <16 x float> splat (float 0xC05A000000000000), <16 x float> %v147
  %v168 = fcmp olt <16 x float> splat (float 0x4056400000000000), %v167
  %v169 = select <16 x i1> %v168, <16 x float> splat (float 0x4056400000000000), <16 x float> %v167
  %v170 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v169, <16 x float> splat (float 0x3FF7154760000000), <16 x float> splat (float 0x4168000000000000))
  %v171 = fsub <16 x float> %v170, splat (float 0x4168000000000000)
  %v172 = bitcast <16 x float> %v170 to <16 x i32>
  %v173 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v171, <16 x float> splat (float 0xBFE62E4300000000), <16 x float> %v169)
  %v174 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v171, <16 x float> splat (float 0x3E205C6100000000), <16 x float> %v173)
  %v175 = sub <16 x i32> %v172, splat (i32 1262485504)
  %v176 = fmul <16 x float> %v174, %v174
  %v177 = call <16 x float> @llvm.fma.v16f32(<16 x float> splat (float 0x3F56DB33E0000000), <16 x float> %v174, <16 x float> splat (float 0x3F8123B700000000))
  %v178 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v177, <16 x float> %v174, <16 x float> splat (float 0x3FA55545E0000000))
  %v179 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v178, <16 x float> %v174, <16 x float> splat (float 0x3FC55548E0000000))
  %v180 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v179, <16 x float> %v174, <16 x float> splat (float 0x3FE0000000000000))
  %v181 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v176, <16 x float> %v180, <16 x float> %v174)
  %v182 = fadd <16 x float> %v181, splat (float 0x3FF0000000000000)
  %v183 = call <16 x float> @llvm.ldexp.v16f32.v16i32(<16 x float> %v182, <16 x i32> %v175)
  %v184 = getelementptr float, ptr %v7, i64 %i133
  store <16 x float> %v165, ptr %v184, align 4
  %v185 = getelementptr float, ptr %v184, i64 16
  store <16 x float> %v183, ptr %v185, align 4
  %v186 = fadd <16 x float> %v165, %c134
  %v187 = fadd <16 x float> %v183, %c135
  %v190 = add nsw i64 %i133, 32
  %v191 = icmp slt i64 %v190, %v132
  br i1 %v191, label %loop137, label %exit188
exit188:
  %v192 = phi <16 x float> [ splat (float 0x0000000000000000), %loop126 ], [ %v186, %loop137 ]
  %v193 = phi <16 x float> [ splat (float 0x0000000000000000), %loop126 ], [ %v187, %loop137 ]
  %v230 = icmp slt i64 %v132, %v128
  br i1 %v230, label %pre196, label %exit229
pre196:
  br label %loop197
loop197:
  %i194 = phi i64 [ %v132, %pre196 ], [ %v231, %loop197 ]
  %c195 = phi <16 x float> [ %v192, %pre196 ], [ %v228, %loop197 ]
  %v198 = sub i64 %v128, %i194
  %v199 = call i64 @llvm.smin.i64(i64 %v198, i64 16)
  %v200 = trunc i64 %v199 to i32
  %v201 = insertelement <16 x i32> poison, i32 %v200, i64 0
  %v202 = shufflevector <16 x i32> %v201, <16 x i32> poison, <16 x i32> zeroinitializer
  %v203 = icmp ult <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>, %v202
  %v204 = add i64 %v29, %i194
  %v205 = getelementptr float, ptr %v1, i64 %v204
  %v206 = call <16 x float> @llvm.masked.load.v16f32.p0(ptr %v205, i32 4, <16 x i1> %v203, <16 x float> zeroinitializer)
  %v207 = fsub <16 x float> %v206, %v145
  %v208 = fcmp ogt <16 x float> splat (float 0xC05A000000000000), %v207
  %v209 = select <16 x i1> %v208, <16 x float> splat (float 0xC05A000000000000), <16 x float> %v207
  %v210 = fcmp olt <16 x float> splat (float 0x4056400000000000), %v209
  %v211 = select <16 x i1> %v210, <16 x float> splat (float 0x4056400000000000), <16 x float> %v209
  %v212 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v211, <16 x float> splat (float 0x3FF7154760000000), <16 x float> splat (float 0x4168000000000000))
  %v213 = fsub <16 x float> %v212, splat (float 0x4168000000000000)
  %v214 = bitcast <16 x float> %v212 to <16 x i32>
  %v215 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v213, <16 x float> splat (float 0xBFE62E4300000000), <16 x float> %v211)
  %v216 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v213, <16 x float> splat (float 0x3E205C6100000000), <16 x float> %v215)
  %v217 = sub <16 x i32> %v214, splat (i32 1262485504)
  %v218 = fmul <16 x float> %v216, %v216
  %v219 = call <16 x float> @llvm.fma.v16f32(<16 x float> splat (float 0x3F56DB33E0000000), <16 x float> %v216, <16 x float> splat (float 0x3F8123B700000000))
  %v220 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v219, <16 x float> %v216, <16 x float> splat (float 0x3FA55545E0000000))
  %v221 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v220, <16 x float> %v216, <16 x float> splat (float 0x3FC55548E0000000))
  %v222 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v221, <16 x float> %v216, <16 x float> splat (float 0x3FE0000000000000))
  %v223 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v218, <16 x float> %v222, <16 x float> %v216)
  %v224 = fadd <16 x float> %v223, splat (float 0x3FF0000000000000)
  %v225 = call <16 x float> @llvm.ldexp.v16f32.v16i32(<16 x float> %v224, <16 x i32> %v217)
  %v226 = getelementptr float, ptr %v7, i64 %i194
  call void @llvm.masked.store.v16f32.p0(<16 x float> %v225, ptr %v226, i32 4, <16 x i1> %v203)
  %v227 = fadd <16 x float> %v225, %c195
  %v228 = select <16 x i1> %v203, <16 x float> %v227, <16 x float> %c195
  %v231 = add nsw i64 %i194, 16
  %v232 = icmp slt i64 %v231, %v128
  br i1 %v232, label %loop197, label %exit229
exit229:
  %v233 = phi <16 x float> [ %v192, %exit188 ], [ %v228, %loop197 ]
  %v234 = fadd <16 x float> %v233, %c123
  %v235 = fadd <16 x float> %v193, %c124
  %v238 = add nsw i64 %i122, 16384
  %v239 = icmp slt i64 %v238, %v6
  br i1 %v239, label %loop126, label %exit236
exit236:
  %v240 = phi <16 x float> [ splat (float 0x0000000000000000), %exit81 ], [ %v234, %exit229 ]
  %v241 = phi <16 x float> [ splat (float 0x0000000000000000), %exit81 ], [ %v235, %exit229 ]
  %v242 = fadd <16 x float> %v240, %v241
  %v243 = shufflevector <16 x float> %v242, <16 x float> poison, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>
  %v244 = shufflevector <16 x float> %v242, <16 x float> poison, <8 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>
  %v245 = fadd <8 x float> %v243, %v244
  %v246 = shufflevector <8 x float> %v245, <8 x float> poison, <4 x i32> <i32 0, i32 1, i32 2, i32 3>
  %v247 = shufflevector <8 x float> %v245, <8 x float> poison, <4 x i32> <i32 4, i32 5, i32 6, i32 7>
  %v248 = fadd <4 x float> %v246, %v247
  %v249 = shufflevector <4 x float> %v248, <4 x float> poison, <2 x i32> <i32 0, i32 1>
  %v250 = shufflevector <4 x float> %v248, <4 x float> poison, <2 x i32> <i32 2, i32 3>
  %v251 = fadd <2 x float> %v249, %v250
  %v252 = extractelement <2 x float> %v251, i64 0
  %v253 = extractelement <2 x float> %v251, i64 1
  %v254 = fadd float %v252, %v253
  %v264 = insertelement <16 x float> poison, float %v254, i64 0
  %v265 = shufflevector <16 x float> %v264, <16 x float> poison, <16 x i32> zeroinitializer
  %v272 = icmp slt i64 0, %v255
  br i1 %v272, label %pre257, label %exit271
pre257:
  br label %loop258
loop258:
  %i256 = phi i64 [ 0, %pre257 ], [ %v273, %loop258 ]
  %v259 = add i64 %i256, 16
  %v260 = getelementptr float, ptr %v7, i64 %i256
  %v261 = load <16 x float>, ptr %v260, align 4
  %v262 = getelementptr float, ptr %v260, i64 16
  %v263 = load <16 x float>, ptr %v262, align 4
  %v266 = fdiv <16 x float> %v261, %v265
  %v267 = fdiv <16 x float> %v263, %v265
  %v268 = add i64 %v29, %i256
  %v269 = getelementptr float, ptr %v3, i64 %v268
  store <16 x float> %v266, ptr %v269, align 4
  %v270 = getelementptr float, ptr %v269, i64 16
  store <16 x float> %v267, ptr %v270, align 4
  %v273 = add nsw i64 %i256, 32
  %v274 = icmp slt i64 %v273, %v255
  br i1 %v274, label %loop258, label %exit271
exit271:
  %v290 = icmp slt i64 %v255, %v6
  br i1 %v290, label %pre276, label %exit289
pre276:
  br label %loop277
loop277:
  %i275 = phi i64 [ %v255, %pre276 ], [ %v291, %loop277 ]
  %v278 = sub i64 %v6, %i275
  %v279 = call i64 @llvm.smin.i64(i64 %v278, i64 16)
  %v280 = trunc i64 %v279 to i32
  %v281 = insertelement <16 x i32> poison, i32 %v280, i64 0
  %v282 = shufflevector <16 x i32> %v281, <16 x i32> poison, <16 x i32> zeroinitializer
  %v283 = icmp ult <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>, %v282
  %v284 = getelementptr float, ptr %v7, i64 %i275
  %v285 = call <16 x float> @llvm.masked.load.v16f32.p0(ptr %v284, i32 4, <16 x i1> %v283, <16 x float> zeroinitializer)
  %v286 = fdiv <16 x float> %v285, %v265
  %v287 = add i64 %v29, %i275
  %v288 = getelementptr float, ptr %v3, i64 %v287
  call void @llvm.masked.store.v16f32.p0(<16 x float> %v286, ptr %v288, i32 4, <16 x i1> %v283)
  %v291 = add nsw i64 %i275, 16
  %v292 = icmp slt i64 %v291, %v6
  br i1 %v292, label %loop277, label %exit289
exit289:
  %v295 = add nsw i64 %i15, 1
  %v296 = icmp slt i64 %v295, %v14
  br i1 %v296, label %loop17, label %exit293
exit293:
  ret i32 0
}

!0 = !{}
